//! Which store: `--db`, else `$FLUX_STORE`, else `flux.toml`, else `./flux.db`.

use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::exit::Failure;

const VARIABLE: &str = "FLUX_STORE";
const FILE: &str = "flux.toml";
const SQLITE: &str = "sqlite:";
const DEFAULT: &str = "./flux.db";

/// The store of this call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// A path or a URL.
    pub(crate) location: String,
    /// What said so, for people.
    pub(crate) source: Source,
}

/// What named the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Environment,
    File(PathBuf),
    Default,
}

/// What `flux.toml` may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// A path, from the folder of the file, or a URL.
    db: Option<String>,
}

impl Source {
    /// What named the store, in a sentence.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Flag => "`--db` names it".to_owned(),
            Self::Environment => format!("`${VARIABLE}` names it"),
            Self::File(file) => format!("`{}` names it", file.display()),
            Self::Default => format!(
                "it is where nothing names another: neither `--db` nor `${VARIABLE}` nor a `{FILE}` of this folder or one above"
            ),
        }
    }
}

impl Place {
    /// The same place, wherever one stands.
    pub(crate) fn absolute(&self) -> String {
        let is_path = !self.location.contains("://") && !self.location.starts_with(SQLITE);
        let absolute = std::path::absolute(&self.location).ok().filter(|_| is_path);
        absolute.map_or_else(|| self.location.clone(), |path| path.display().to_string())
    }

    /// Finds it out.
    pub(crate) fn find(flag: Option<&str>) -> Result<Self, Failure> {
        if let Some(location) = flag {
            return Ok(Self::new(location, Source::Flag));
        }
        if let Ok(location) = env::var(VARIABLE)
            && !location.is_empty()
        {
            return Ok(Self::new(location, Source::Environment));
        }
        let here = env::current_dir().map_err(|error| {
            Failure::operational(format!("the current folder cannot be read: {error}"))
        })?;
        for folder in here.ancestors() {
            if let Some(place) = Self::in_folder(folder)? {
                return Ok(place);
            }
        }
        Ok(Self::new(DEFAULT, Source::Default))
    }

    fn new(location: impl Into<String>, source: Source) -> Self {
        Self {
            location: location.into(),
            source,
        }
    }

    fn in_folder(folder: &Path) -> Result<Option<Self>, Failure> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let message = format!("`{}` cannot be read: {error}", file.display());
                return Err(Failure::operational(message));
            }
        };
        let settings: Settings = toml::from_str(&text).map_err(|error| {
            let error = error.to_string();
            let message = format!("`{}` cannot be read: {}", file.display(), error.trim_end());
            Failure::usage(message).hint("it may hold one line: `db = \"orders.db\"`")
        })?;
        let Some(db) = settings.db else {
            return Ok(None);
        };
        if db.is_empty() {
            let message = format!("`{}` names no store: `db` is empty", file.display());
            return Err(Failure::usage(message));
        }
        let location = match db.strip_prefix(SQLITE) {
            Some(path) => format!("{SQLITE}{}", folder.join(path).display()),
            None if db.contains("://") => db,
            None => folder.join(db).to_string_lossy().into_owned(),
        };
        Ok(Some(Self::new(location, Source::File(file))))
    }
}
