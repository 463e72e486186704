//! The arrows inside flux-core: which module may speak of which.

use std::collections::BTreeSet;

use crate::paths::{Module, Modules, Words, read, texts_of_the_core, words};

/// What the modules `of` a layer may not name.
struct Rule {
    of: &'static [&'static str],
    never: &'static [&'static str],
    /// What they may name all the same, as paths below `never`.
    but: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        of: &[
            "clock",
            "digest",
            "error",
            "event",
            "hash",
            "id",
            "names",
            "order",
            "payload",
            "policy",
            "retry",
            "schedule",
            "sites",
            "status",
            "store",
            "time",
            "type_name",
        ],
        never: &["context", "engine", "private", "replay", "task"],
        but: &[],
        why: "records, errors and the store contract are what every backend and every reader of a history needs, and they \
              need no running code for it",
    },
    Rule {
        of: &["task"],
        never: &["context", "replay"],
        but: &[],
        why: "a task is data that the macros write down; what calls it depends on it",
    },
    Rule {
        of: &["context"],
        never: &["replay"],
        but: &[],
        why: "the replay drives the code that holds a context; if the context knew the replay, neither could be read alone",
    },
    Rule {
        of: &["replay"],
        never: &["context"],
        but: &[
            "context::RawContext",
            "context::current",
            "context::end",
            "context::lifecycle",
            "context::request",
            "context::shared",
        ],
        why: "the replay needs the state it shares with the code and the code's life to poll, and no durable operation",
    },
    Rule {
        of: &["context", "replay", "task", "workflow"],
        never: &["engine", "private"],
        but: &[],
        why: "the engine is the async shell around all of this, and `private` is what expansions of the macros call: both \
              stand at the top",
    },
];

/// A room of the engine, and what of the engine it may name beyond itself.
struct Room {
    name: &'static str,
    names: &'static [&'static str],
    why: &'static str,
}

impl Room {
    fn path(&self) -> String {
        format!("engine::{}", self.name)
    }
}

const ROOMS: &[Room] = &[
    Room {
        name: "kernel",
        names: &[],
        why: "everything in the engine stands on the kernel: it can be read without any of it",
    },
    Room {
        name: "ownership",
        names: &["kernel"],
        why: "who drives an execution is the same whatever is done with it",
    },
    Room {
        name: "history",
        names: &["kernel"],
        why: "a history is read and replayed in the same way by whoever needs it",
    },
    Room {
        name: "placement",
        names: &["kernel"],
        why: "where an execution goes is found out before anything drives it",
    },
    Room {
        name: "undriven",
        names: &["history", "kernel", "ownership"],
        why: "what is done without a driver gives none: drivers do it, too, to the executions they know",
    },
    Room {
        name: "driver",
        names: &["history", "kernel", "ownership", "placement", "undriven"],
        why: "a driver works for whoever set it to work, and asks for nothing as a user does",
    },
    Room {
        name: "verb",
        names: &[
            "Engine",
            "Workflow",
            "driver",
            "history",
            "kernel",
            "ownership",
            "placement",
            "undriven",
        ],
        why: "what users ask for is done here and now; workers do what nobody waits for",
    },
    Room {
        name: "worker",
        names: &[
            "Engine",
            "driver",
            "history",
            "kernel",
            "ownership",
            "placement",
            "undriven",
            "verb",
        ],
        why: "a worker is told of its engine, not how that is opened",
    },
    Room {
        name: "setup",
        names: &["Engine", "kernel", "verb"],
        why: "an engine that is being opened does nothing yet",
    },
];

fn is_below(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// What breaks a rule in a file of this module.
fn broken(read: &Module, module: &[String]) -> Vec<String> {
    let module = module.join("::");
    let is_of = |path: &str, modules: &[&str]| modules.iter().any(|other| is_below(path, other));
    let rules = RULES.iter().filter(|rule| is_of(&module, rule.of));
    let rules: Vec<&Rule> = rules.collect();
    let mut broken = Vec::new();
    for path in read.named.iter().map(|path| path.join("::")) {
        if !rules.is_empty() && path.starts_with(char::is_uppercase) {
            broken.push(format!(
                "`crate::{path}`; name it by its module, so that it shows where it comes from"
            ));
        }
        let is_broken = |rule: &&&Rule| is_of(&path, rule.never) && !is_of(&path, rule.but);
        let reasons = rules.iter().filter(is_broken).map(|rule| rule.why);
        broken.extend(reasons.map(|why| format!("`crate::{path}`; {why}")));
        if let Some(why) = breaks_the_order_of_rooms(&path, &module) {
            broken.push(format!("`crate::{path}`; {why}"));
        }
    }
    broken
}

/// Why a room of the engine may not name this; nothing where it may.
fn breaks_the_order_of_rooms(path: &str, module: &str) -> Option<&'static str> {
    let room = ROOMS.iter().find(|room| is_below(module, &room.path()))?;
    let is_known = |names: &[&str]| {
        let mut paths = names.iter().map(|name| format!("engine::{name}"));
        paths.any(|known| is_below(path, &known))
    };
    let is_fine = !is_below(path, "engine") || is_known(&[room.name]) || is_known(room.names);
    (!is_fine).then_some(room.why)
}

#[test]
fn no_module_of_the_core_names_one_above_it() {
    let mut found = Vec::new();
    for (module, read) in Modules::of_the_core().0 {
        let place = module.join("::");
        let broken = broken(&read, &module).into_iter();
        found.extend(broken.map(|what| format!("`{place}` names {what}")));
    }
    assert!(
        found.is_empty(),
        "what is named from above belongs lower, in a module of its own if need be: {found:#?}"
    );
}

#[test]
fn every_module_of_a_rule_exists() {
    let modules = Modules::of_the_core().0;
    let of_rules = RULES.iter().flat_map(|rule| [rule.of, rule.never].concat());
    let of_rules = of_rules.map(str::to_owned);
    for path in of_rules.chain(ROOMS.iter().map(Room::path)) {
        assert!(
            modules.contains_key(&words(&path)),
            "the rules speak of `{path}`, which flux-core no longer has"
        );
    }
}

#[test]
fn every_folder_of_the_engine_is_a_room() {
    let is_room = |name: &String| ROOMS.iter().any(|room| room.name == name);
    let modules = Modules::of_the_core().0.into_keys();
    let other = modules.filter(|module: &Words| {
        let name = module.get(1).filter(|_| module[0] == "engine");
        name.is_some_and(|name| !is_room(name))
    });
    let other: Vec<Words> = other.collect();
    assert!(other.is_empty(), "not in a room: {other:?}");
}

/// Otherwise the kernel would grow by what others do with it.
#[test]
fn the_kernel_has_no_methods_but_its_own() {
    let mut found = Vec::new();
    for (module, text) in texts_of_the_core() {
        let is_own = is_below(&module.join("::"), "engine::kernel");
        if !is_own && text.contains("impl Kernel {") {
            found.push(module.join("::"));
        }
    }
    assert!(
        found.is_empty(),
        "what these do belongs into functions that take a kernel: {found:?}"
    );
}

#[test]
fn each_rule_can_be_broken() {
    let breaks = |of: &str, named: &str, why: &str| {
        let text = format!("fn f() {{ crate::{named}::something(); }}");
        let module = words(of);
        let broken = broken(&read(&text, &module, &BTreeSet::new()), &module);
        assert!(
            broken.iter().any(|what| what.contains(why)),
            "{of}, {named}"
        );
    };
    for rule in RULES {
        for of in rule.of {
            rule.never
                .iter()
                .for_each(|never| breaks(of, never, rule.why));
        }
    }
    for room in ROOMS.iter().filter(|room| room.name != "worker") {
        breaks(&room.path(), "engine::worker", room.why);
    }
}
