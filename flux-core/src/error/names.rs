//! Names of error types that users give: `#[task(error = "payments.declined")]`.
//!
//! Rust's own name of a type changes when the type is moved, and may change with the compiler, so it decides nothing. A
//! name that is given is recorded with the errors of that task or workflow. Several types may have one name, as before and
//! after a move, and a type may have several.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

/// The name that a task or workflow gives the type of its error.
#[derive(Debug)]
pub struct ErrorName {
    name: &'static str,
    of: fn() -> TypeId,
}

/// A name, registered where it is given.
#[derive(Debug)]
pub struct ErrorEntry(pub &'static ErrorName);

impl ErrorName {
    /// Gives the type this name.
    pub const fn new(name: &'static str, of: fn() -> TypeId) -> Self {
        Self { name, of }
    }

    /// The name, if it is one for this type: a fallback may fail with another.
    pub(crate) fn for_type(&self, ty: TypeId) -> Option<&'static str> {
        Some(self.name).filter(|_| (self.of)() == ty)
    }
}

inventory::collect!(ErrorEntry);

/// Whether an error that was recorded under this name may be of this type.
pub(super) fn fits(recorded: Option<&str>, ty: TypeId) -> bool {
    recorded.is_none_or(|name| names().fits(name, ty))
}

fn names() -> &'static Names {
    static NAMES: OnceLock<Names> = OnceLock::new();
    NAMES.get_or_init(|| {
        let all = inventory::iter::<ErrorEntry>.into_iter();
        Names::of(all.map(|ErrorEntry(given)| (given.name, (given.of)())))
    })
}

/// All names that the program gives.
struct Names {
    of_types: BTreeMap<TypeId, BTreeSet<&'static str>>,
    all: BTreeSet<&'static str>,
}

impl Names {
    fn of(given: impl Iterator<Item = (&'static str, TypeId)>) -> Self {
        let mut names = Self {
            of_types: BTreeMap::new(),
            all: BTreeSet::new(),
        };
        for (name, ty) in given {
            names.of_types.entry(ty).or_default().insert(name);
            names.all.insert(name);
        }
        names
    }

    /// A name that this program gives stands for the types that have it. One that it does not give, because the code that
    /// gave it is gone, may stand for any type without a name.
    fn fits(&self, recorded: &str, ty: TypeId) -> bool {
        match self.of_types.get(&ty) {
            Some(own) => own.contains(recorded),
            None => !self.all.contains(recorded),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Declined;
    struct MovedDeclined;
    struct OutOfStock;
    struct Unnamed;

    fn id<T: 'static>() -> TypeId {
        TypeId::of::<T>()
    }

    fn given() -> Names {
        Names::of(
            [
                ("payments.declined", id::<Declined>()),
                ("payments.declined", id::<MovedDeclined>()),
                ("stock.out", id::<OutOfStock>()),
                ("stock.none_left", id::<OutOfStock>()),
            ]
            .into_iter(),
        )
    }

    #[test]
    fn a_name_that_is_given_stands_for_its_types_alone() {
        let names = given();
        let fitting = |name: &str| {
            let all = [
                ("Declined", id::<Declined>()),
                ("MovedDeclined", id::<MovedDeclined>()),
                ("OutOfStock", id::<OutOfStock>()),
                ("Unnamed", id::<Unnamed>()),
            ];
            let fitting = all.into_iter().filter(|(_, ty)| names.fits(name, *ty));
            fitting.map(|(ty, _)| ty).collect::<Vec<_>>()
        };
        assert_eq!(fitting("payments.declined"), ["Declined", "MovedDeclined"]);
        assert_eq!(fitting("stock.out"), ["OutOfStock"]);
        assert_eq!(fitting("stock.none_left"), ["OutOfStock"]);
        // The code that gave it is gone.
        assert_eq!(fitting("parcels.lost"), ["Unnamed"]);
    }

    #[test]
    fn a_name_is_recorded_with_errors_of_its_type_alone() {
        let name = ErrorName::new("payments.declined", id::<Declined>);
        assert_eq!(name.for_type(id::<Declined>()), Some("payments.declined"));
        assert_eq!(name.for_type(id::<OutOfStock>()), None);
    }
}
