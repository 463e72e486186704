//! Damaged rows, as the engine meets them: an error that names them, and never a panic.

use flux::sqlite::rusqlite::Connection;
use flux::{Engine, Error, ExecutionContext, workflow};

#[workflow]
async fn wait_to_be_damaged(_ctx: ExecutionContext<u32>) -> u32 {
    flux::pause("damage").value::<u32>().await
}

/// PITFALL: a `base` that no event can have was a panic, and a list of everything failed without saying why.
#[tokio::test]
async fn a_row_whose_base_is_damaged_is_an_error_that_names_it() {
    for base in ["0", "-1", "9", "5000000", "20000000", "4294967295"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("flux.db");
        let engine = Engine::open(&path).await.unwrap();
        for id in ["whole", "damaged"] {
            let on = wait_to_be_damaged.on(&engine);
            let _ = on.run(0).execution_id(id).await.unwrap();
        }
        let set = format!("UPDATE flux_executions SET base = {base} WHERE id = 'damaged'");
        Connection::open(&path).unwrap().execute(&set, []).unwrap();

        let on = wait_to_be_damaged.on(&engine);
        let resumed = on.resume("damaged").with(&7).await;
        let error = resumed.map(drop).unwrap_err();
        let replayed = engine.replay("damaged").await.map(drop).unwrap_err();
        if !(1..1 << 24).contains(&base.parse::<i64>().unwrap()) {
            for error in [error, replayed] {
                assert!(matches!(error, Error::Store(_)), "{error}");
                let error = error.to_string();
                assert!(error.contains("row 2 of `flux_executions`"), "{error}");
                assert!(error.contains(&format!("`base`: {base}")), "{error}");
            }
            assert!(engine.get("damaged").await.is_err());
            assert_eq!(engine.list().await.unwrap().len(), 1);
        }
        let whole = on.resume("whole").with(&7).await.unwrap();
        assert_eq!(whole.output(), Some(&7));
    }
}
