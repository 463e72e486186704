//! Which store: `--db`, else that of a program which names none.

use std::path::PathBuf;

use flux_core::{DefaultStore, NamedBy, SettingsError};

use crate::exit::Failure;

const SQLITE: &str = "sqlite:";

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

impl Source {
    /// What named the store, in a sentence.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Flag => "`--db` names it".to_owned(),
            Self::Environment => "`$FLUX_STORE` names it".to_owned(),
            Self::File(file) => format!("`{}` names it", file.display()),
            Self::Default => "it is where nothing names another: neither `--db` nor `$FLUX_STORE` nor a `flux.toml` of this \
                              folder or one above"
                .to_owned(),
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
            return Ok(Self {
                location: location.to_owned(),
                source: Source::Flag,
            });
        }
        let found = DefaultStore::find()?;
        Ok(Self {
            location: found.location,
            source: match found.named_by {
                NamedBy::Environment => Source::Environment,
                NamedBy::File(file) => Source::File(file),
                NamedBy::Nothing => Source::Default,
            },
        })
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Unreadable { .. } => Self::operational(error),
            SettingsError::Invalid { .. } => {
                Self::usage(error).hint("it may hold one line: `db = \"orders.db\"`")
            }
            _ => Self::usage(error),
        }
    }
}
