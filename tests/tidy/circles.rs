//! No two modules of the core need each other, directly or through others, but those that have to.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{Modules, Words, words};

/// Modules that need each other, and why that is so.
struct Circle {
    modules: &'static [&'static str],
    why: &'static str,
}

const TRUE_CIRCLES: &[Circle] = &[
    Circle {
        modules: &[
            "engine::driver",
            "engine::driver::children",
            "engine::driver::doubts",
            "engine::driver::in_turn",
            "engine::driver::launch",
            "engine::driver::load",
            "engine::driver::poke",
        ],
        why: "a driver sets the drivers of its children to work",
    },
    Circle {
        modules: &[
            "context",
            "context::body",
            "context::current",
            "context::end",
            "context::on_exit",
            "context::pending",
            "context::request",
            "context::rollback",
            "context::shared",
            "context::unknown",
            "workflow",
        ],
        why: "a workflow is given a context, whose calls name workflows, and what it holds for the end is code that is given \
              one again",
    },
];

/// For each module those that it names, and the first path by which it does.
type Arrows = BTreeMap<Words, BTreeMap<Words, Words>>;

fn arrows(modules: &Modules) -> Arrows {
    let of = |(module, read): (&Words, &crate::paths::Module)| {
        let mut named = BTreeMap::new();
        for path in &read.named {
            if let Some(other) = modules.declaring(path).filter(|other| other != module) {
                named.entry(other).or_insert_with(|| path.clone());
            }
        }
        (module.clone(), named)
    };
    modules.0.iter().map(of).collect()
}

/// What can be reached from a module.
fn reach(arrows: &Arrows, from: &Words) -> BTreeSet<Words> {
    let mut reached = BTreeSet::new();
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        for next in arrows.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    reached
}

/// The modules that need each other, in sets.
fn circles(arrows: &Arrows) -> BTreeSet<BTreeSet<Words>> {
    let reached: BTreeMap<&Words, BTreeSet<Words>> = arrows
        .keys()
        .map(|module| (module, reach(arrows, module)))
        .collect();
    let circle = |module: &&Words| {
        let back = |other: &&Words| reached[*other].contains(*module);
        let others = reached[*module].iter().filter(back).cloned();
        others.collect::<BTreeSet<Words>>()
    };
    let keys: Vec<&Words> = arrows.keys().collect();
    let circles = keys.iter().map(circle);
    circles.filter(|circle| !circle.is_empty()).collect()
}

#[test]
fn no_modules_of_the_core_need_each_other_but_those_that_have_to() {
    let arrows = arrows(&Modules::of_the_core());
    let wanted: BTreeMap<BTreeSet<Words>, &str> = TRUE_CIRCLES
        .iter()
        .map(|circle| {
            (
                circle.modules.iter().map(|it| words(it)).collect(),
                circle.why,
            )
        })
        .collect();
    let found = circles(&arrows);
    let mut said = Vec::new();
    for circle in found.iter().filter(|circle| !wanted.contains_key(*circle)) {
        said.push(
            "these need each other; what two of them speak of belongs below both:".to_owned(),
        );
        for module in circle {
            let named = arrows[module].iter();
            for (other, path) in named.filter(|(other, _)| circle.contains(*other)) {
                let [module, other, path] = [module, other, path].map(|words| words.join("::"));
                said.push(format!("  {module} -> {other} (`{path}`)"));
            }
        }
    }
    for (circle, why) in wanted.iter().filter(|(circle, _)| !found.contains(*circle)) {
        let modules: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
        let modules = modules.join(", ");
        said.push(format!(
            "these are another circle now, or none ({why}): {modules}"
        ));
    }
    assert!(said.is_empty(), "{}", said.join("\n"));
}

#[test]
fn circles_are_found() {
    let texts = [
        ("a", "use crate::b::B;"),
        ("b", "fn f() { crate::c::c() }"),
        ("c", "use super::a::A; use crate::d::D;"),
        ("d", "mod e; pub use e::E;"),
        ("d::e", "use crate::f::F;"),
        ("f", ""),
    ];
    let texts = texts.map(|(module, text)| (words(module), text.to_owned()));
    let found = circles(&arrows(&Modules::of(BTreeMap::from(texts))));
    let circle = ["a", "b", "c"].map(words);
    assert_eq!(found, BTreeSet::from([BTreeSet::from(circle)]));
}
