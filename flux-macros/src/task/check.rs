//! The rules of a task, each stated above its function.

use quote::ToTokens;
use syn::Type;

use super::model::{Param, Task};
use crate::diag::Diagnostics;
use crate::function::Function;
use crate::signature;
use crate::template::Part;

const WHAT: signature::What = "a task";

/// The most arguments that can be recorded: tuples end there.
const MOST_ARGUMENTS: usize = 16;

/// The rules of the function as a whole.
pub(crate) fn function(function: &Function, diag: &mut Diagnostics) {
    let cure = "take what it needs as arguments, or inject it with `State<T>`";
    signature::has_no_self(&function.sig, WHAT, cure, diag);
    signature::is_not_generic(&function.sig, WHAT, diag);
    signature::has_no_modifiers(function, WHAT, diag);
    signature::says_no_self_type(function, WHAT, diag);
}

/// The rules of the options, against the function.
pub(crate) fn options(function: &Function, task: &Task, diag: &mut Diagnostics) {
    runs_on_one_pool(function, task, diag);
    names_arguments(task, diag);
    has_an_error_to_retry(task, diag);
    task.output
        .has_an_error_to_name(task.args.error.as_ref(), diag);
}

/// The rules of the types.
pub(crate) fn types(task: &Task, diag: &mut Diagnostics) {
    if let Some(param) = task.arguments().nth(MOST_ARGUMENTS) {
        diag.error(
            &param.ty,
            format!("a task takes at most {MOST_ARGUMENTS} arguments; put them into a struct"),
        );
    }
    for param in &task.params {
        if param.is_injected {
            injects_owned_state(param, diag);
        } else {
            is_owned(param, diag);
        }
    }
    task.output.check(WHAT, diag);
}

/// An async body runs on the runtime, a blocking one beside it.
fn runs_on_one_pool(function: &Function, task: &Task, diag: &mut Diagnostics) {
    match (&function.sig.asyncness, &task.args.blocking) {
        (Some(_), Some(blocking)) => {
            diag.error(blocking, "`blocking` runs a plain `fn` on the blocking pool: leave out `async`, or `blocking`");
        }
        (None, None) => {
            diag.error(
                function.sig.fn_token,
                "a task is an `async fn`; for one that blocks write `#[task(blocking)]`",
            );
        }
        _ => {}
    }
}

/// A placeholder in a name stands for an argument.
fn names_arguments(task: &Task, diag: &mut Diagnostics) {
    let Some(name) = &task.args.name else { return };
    for part in &name.parts {
        let Part::Placeholder(wanted) = part else {
            continue;
        };
        let param = task
            .params
            .iter()
            .find(|param| param.known_as.as_ref() == Some(wanted));
        match param {
            Some(param) if param.is_injected => {
                let message = format!(
                    "`{wanted}` is injected and may differ between runs, so no name is made of it"
                );
                diag.error(&name.literal, message);
            }
            Some(_) => {}
            None => diag.error(&name.literal, unknown_placeholder(task, wanted)),
        }
    }
}

fn unknown_placeholder(task: &Task, wanted: &str) -> String {
    let known: Vec<String> = task
        .arguments()
        .filter_map(|param| param.known_as.as_ref())
        .map(|name| format!("`{{{name}}}`"))
        .collect();
    let cure = if known.is_empty() {
        "the task has none by a plain name; a brace itself is written `{{`".to_owned()
    } else {
        format!("there is {}", known.join(", "))
    };
    format!("no argument is called `{wanted}`; {cure}")
}

/// `retry_if` looks at an error, so there has to be one.
fn has_an_error_to_retry(task: &Task, diag: &mut Diagnostics) {
    if let Some(retry_if) = task
        .args
        .retry_if
        .as_ref()
        .filter(|_| task.output.is_plain())
    {
        let returned = task.output.ty().to_token_stream();
        let message = format!(
            "`retry_if` needs a task that returns a `Result`, and this one returns `{returned}`"
        );
        diag.error(retry_if, message);
    }
}

/// An argument is recorded and read back, by a process that borrows from nobody.
fn is_owned(param: &Param, diag: &mut Diagnostics) {
    let ty = &param.ty;
    if let Some(token) = signature::find_impl(ty) {
        diag.error(token, "a task cannot take `impl Trait`: its arguments are recorded, so their types have names");
    } else if let Type::Reference(reference) = ty {
        diag.error(
            ty,
            format!(
                "a task takes its arguments by value, because they are recorded; {}",
                owned(&reference.elem)
            ),
        );
    } else if let Some(token) = signature::find_reference(ty) {
        diag.error(
            token,
            "a task takes its arguments by value, because they are recorded: no references inside",
        );
    } else if let Some(token) = signature::find_lifetime(ty) {
        diag.error(token, "a task takes its arguments by value, because they are recorded: no lifetimes but `'static`");
    }
}

fn owned(borrowed: &Type) -> String {
    let borrowed = match borrowed {
        Type::Slice(slice) => return format!("take `Vec<{}>`", slice.elem.to_token_stream()),
        ty => ty.to_token_stream().to_string().replace(' ', ""),
    };
    match &*borrowed {
        "str" => "take `String`".to_owned(),
        "Path" | "std::path::Path" => "take `PathBuf`".to_owned(),
        ty => format!("take `{ty}`"),
    }
}

/// What is injected lives as long as the engine.
fn injects_owned_state(param: &Param, diag: &mut Diagnostics) {
    if let Some(token) = signature::find_lifetime(&param.ty) {
        diag.error(
            token,
            "injected state lives as long as its engine: no lifetimes but `'static`",
        );
    }
}
