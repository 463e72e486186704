//! What else stands on a task or a workflow brings no warning, and the strictest crate compiles.
#![deny(
    warnings,
    future_incompatible,
    keyword_idents,
    let_underscore,
    nonstandard_style,
    refining_impl_trait,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    unused,
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    deprecated_in_future,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_abi,
    missing_docs,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![forbid(unsafe_code)]

use flux::{ExecutionContext, State, TaskError, task, workflow};

/// A task of which the result matters.
#[task]
#[must_use]
async fn weigh(parcel: u32) -> u32 {
    parcel * 2
}

/// The same, with a reason.
#[task(max_attempts = 2, fallback = guess, rollback = forget)]
#[must_use = "a parcel has to be measured"]
async fn measure(parcel: u32, factor: State<u32>) -> Result<u32, String> {
    Ok(parcel * *factor)
}

#[inline]
#[task]
#[cold]
async fn guess(parcel: u32) -> u32 {
    parcel
}

async fn forget(_parcel: u32, _measured: Option<u32>) {}

#[task(blocking)]
#[track_caller]
#[doc(hidden)]
#[cfg(all())]
#[cfg_attr(all(), must_use)]
fn pack(parcel: u32) -> u32 {
    parcel
}

#[task]
#[cfg(any())]
async fn pack(parcel: u32) -> u32 {
    parcel
}

#[task]
#[deprecated = "too slow"]
async fn carry(parcel: u32) -> u32 {
    parcel
}

#[task]
#[expect(unused_variables, reason = "a mock")]
async fn stamp(parcel: u32) {}

#[task]
#[allow(unused_variables)]
async fn seal(parcel: u32, #[allow(unused_mut)] mut tape: u32) {}

#[task]
#[allow(non_snake_case)]
async fn Label(Parcel: u32) -> u32 {
    Parcel
}

/// Its value is of use, says the one who wrote it.
#[must_use]
#[workflow(timeout = "1h")]
async fn send_parcel(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let weight = weigh(*ctx.input()).await?;
    Ok(weight + pack(measure(weight).await?).await? + Label(1).await?)
}

#[workflow]
#[must_use = "and so it says here"]
#[doc(hidden)]
#[cfg(all())]
#[cfg_attr(all(), must_use)]
#[inline]
#[allow(deprecated)]
async fn carry_parcel(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
    let parcel = carry(*ctx.input()).await?;
    stamp(parcel).await?;
    seal(parcel, 1).await?;
    Ok(parcel)
}

#[workflow]
#[cfg(any())]
async fn carry_parcel(_ctx: ExecutionContext) {}

#[workflow]
#[deprecated(note = "use `send_parcel`")]
async fn throw_parcel(_ctx: ExecutionContext) {}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let engine = flux::Engine::builder().in_memory().state(3_u32);
    let engine = engine.build().await?;
    assert_eq!(send_parcel.on(&engine).run(2).await?.into_result()?, 17);
    assert_eq!(carry_parcel.on(&engine).run(2).await?.into_result()?, 2);
    Ok(())
}
