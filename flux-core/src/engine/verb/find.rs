//! `find`: which executions a piece of an id may mean.

use crate::engine::Engine;
use crate::error::Error;
use crate::id::ExecutionId;

impl Engine {
    /// Finds executions by a piece of their id: those whose id begins or ends with `fragment`, newest first, at most
    /// `limit`. One whose id is the fragment itself is found alone, so that a whole id is never ambiguous. For people,
    /// who see the ends of ids; a program had better keep the id.
    ///
    /// ```
    /// # use flux::{Engine, ExecutionContext, workflow};
    /// # #[workflow] async fn greet(_ctx: ExecutionContext) {}
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), flux::Error> {
    /// # let engine = Engine::in_memory();
    /// let run = greet.on(&engine).run(()).execution_id("greeting-of-ada").await?;
    /// assert!(run.has_succeeded());
    /// assert_eq!(engine.find("-ada", 10).await?, ["greeting-of-ada"]);
    /// assert_eq!(engine.find("of", 10).await?, [""; 0]);
    /// # Ok(()) }
    /// ```
    pub async fn find(&self, fragment: &str, limit: usize) -> Result<Vec<ExecutionId>, Error> {
        Ok(self.kernel().store.matching(fragment, limit).await?)
    }
}
