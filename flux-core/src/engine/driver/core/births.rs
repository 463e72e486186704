//! Children that are created with the commit that records their calls.

use super::Core;
use super::activation::Activation;
use super::calls::ChildState;
use super::wanted::{Birth, WantedChild};
use crate::context::request::Request;
use crate::id::{Epoch, EventSeq};
use crate::policy::ChildPolicy;

impl Core {
    pub(crate) fn wanted_child(&self, call: EventSeq) -> Option<WantedChild> {
        let mut state = self.machine.shared.state();
        match &state.call_by_seq(call)?.request {
            Some(Request::Child {
                def,
                id,
                input,
                policy,
            }) => Some(WantedChild {
                def,
                id: id.clone().unwrap_or_else(|| self.id.child(call)),
                input: input.clone(),
                policy: *policy,
            }),
            _ => None,
        }
    }

    /// Plans a child that the code has called.
    pub(crate) fn expect_child(
        &mut self,
        call: EventSeq,
        wanted: WantedChild,
        activation: &mut Activation,
    ) {
        let child = wanted.child(Epoch(1), ChildState::Unborn);
        self.calls.insert(call, child);
        let birth = Birth {
            wanted,
            is_let_go: false,
        };
        activation.births.insert(call, birth);
    }

    /// A call is gone that was made in the same activation: its child is not created unless it is to go on by itself.
    /// Whether there is a child that needs an order.
    pub(super) fn let_go_of_unborn(&self, call: EventSeq, activation: &mut Activation) -> bool {
        let Some(birth) = activation.births.get_mut(&call) else {
            return true;
        };
        birth.is_let_go = true;
        let is_recorded_as_cancelled = !self.is_waiting(call);
        if is_recorded_as_cancelled && birth.wanted.policy != ChildPolicy::Abandon {
            activation.births.remove(&call);
            return false;
        }
        true
    }
}
