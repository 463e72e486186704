//! A workflow, a task and an argument may have any name, and a trait of the user's any method: none of them meets a name
//! that an expansion uses.
#![deny(warnings)]

use flux::{ExecutionContext, TaskError, task, workflow};

/// Names that expansions of macros like to use.
macro_rules! for_each_name {
    ($make:ident) => {
        $make! {
            argument argument_0 argument_1 args body call check code commit context data decode default
            definition describe driver end engine entry err error event expect failed fallback fields finish future
            given handler id init inner input inventory is_terminal item json key kind location main_of message meta
            module name named names new none ok options out output payload place policy private probe queue raw reason
            recorded reencode registry request result resume retry retry_if returned rollback run schedule see seen
            some spec split start started state states status stop success tags text timeout to_owned to_string undo
            unwrap value values version wait waker
        }
    };
}

macro_rules! workflows {
    ($($name:ident)*) => {
        $(
            #[workflow(max_attempts = 2, timeout = "1h")]
            async fn $name(ctx: ExecutionContext<u32>) -> Result<u32, TaskError> {
                double(*ctx.input()).await
            }
        )*

        fn all_workflows() -> Vec<flux::Workflow<u32, u32>> {
            vec![$($name),*]
        }
    };
}

macro_rules! tasks {
    ($($name:ident)*) => {
        $(
            #[task(max_attempts = 3, retry_if = |_| true, fallback = halve, rollback = undo_it)]
            async fn $name($name: u32) -> Result<u32, String> {
                Ok($name)
            }
        )*

        async fn call_all() -> Result<u32, TaskError> {
            let mut sum = 0;
            $(sum += $name(1).await?;)*
            Ok(sum)
        }
    };
}

/// Their neighbours: whatever an expansion has, in the same module as all those workflows.
mod beside_workflows {
    use super::*;

    for_each_name!(workflows);

    #[task]
    async fn double(number: u32) -> u32 {
        number * 2
    }

    #[task(
        name = "pay-{number}",
        max_attempts = 3,
        retry_if = |_| true,
        fallback = pay_later,
        rollback = pay_back
    )]
    async fn pay(number: u32, (_a, _b): (u8, u8), _: bool) -> Result<u32, String> {
        Ok(number)
    }

    #[task]
    async fn pay_later(number: u32, _pair: (u8, u8), _flag: bool) -> u32 {
        number
    }

    async fn pay_back(_number: u32, _pair: (u8, u8), _flag: bool, _paid: Option<u32>) -> Result<(), String> {
        Ok(())
    }

    #[workflow(schedule = "@daily")]
    async fn pay_daily(_ctx: ExecutionContext) -> Result<u32, TaskError> {
        pay(1, (1, 1), true).await
    }

    pub(crate) async fn run_all() -> Result<u32, Box<dyn std::error::Error>> {
        let shop = flux::Engine::in_memory();
        let mut sum = 0;
        for one in all_workflows() {
            sum += one.on(&shop).run(1).await?.into_result()?;
        }
        Ok(sum + pay_daily.on(&shop).run(()).await?.into_result()?)
    }
}

mod beside_tasks {
    use super::*;

    for_each_name!(tasks);

    async fn halve(number: u32) -> u32 {
        number / 2
    }

    async fn undo_it(_number: u32, _output: Option<u32>) {}

    #[workflow]
    async fn call_them(_ctx: ExecutionContext) -> Result<u32, TaskError> {
        call_all().await
    }

    pub(crate) async fn run_all() -> Result<u32, Box<dyn std::error::Error>> {
        let shop = flux::Engine::in_memory();
        Ok(call_them.on(&shop).run(()).await?.into_result()?)
    }
}

/// Methods and constants that every type has.
mod beside_traits {
    use super::*;

    trait Everything {
        const RESULT: bool = true;
        const RECORDABLE: bool = false;
        const DISPLAY: bool = false;

        fn json(&self) {}
        fn see(&self) {}
        fn type_name(&self) {}
        fn is_terminal(&self) {}
        fn given(self)
        where
            Self: Sized,
        {
        }
        fn split(self)
        where
            Self: Sized,
        {
        }
        fn into_call(self)
        where
            Self: Sized,
        {
        }
    }

    impl<T> Everything for T {}

    #[task(fallback = halve, rollback = undo_it)]
    async fn pay(number: u32) -> Result<u32, String> {
        Ok(number)
    }

    #[task]
    async fn halve(number: u32) -> u32 {
        number / 2
    }

    async fn undo_it(_number: u32, _output: Option<u32>) {}

    #[workflow]
    async fn pay_once(_ctx: ExecutionContext) -> Result<u32, TaskError> {
        let ((), (), (), ()) = (1.json(), 1.see(), 1.type_name(), 1.is_terminal());
        let ((), (), ()) = (1.given(), 1.split(), 1.into_call());
        let _ = (<u8>::RESULT, <u8>::RECORDABLE, <u8>::DISPLAY);
        pay(1).await
    }

    pub(crate) async fn run_all() -> Result<u32, Box<dyn std::error::Error>> {
        let shop = flux::Engine::in_memory();
        Ok(pay_once.on(&shop).run(()).await?.into_result()?)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    assert!(beside_workflows::run_all().await? > 1);
    assert!(beside_tasks::run_all().await? > 1);
    assert_eq!(beside_traits::run_all().await?, 1);
    Ok(())
}
