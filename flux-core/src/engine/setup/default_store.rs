//! Where the store is that nobody named: the same for a program that tells its engine none and for the command line.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use serde::Deserialize;

use crate::error::Error;

/// The environment variable that names it.
const VARIABLE: &str = "FLUX_STORE";

/// The file that names it, in the present folder or one above.
const FILE: &str = "flux.toml";

/// What the location of a SQLite file may begin with.
const SQLITE: &str = "sqlite:";

/// The file where nothing names another.
const FALLBACK: &str = "./flux.db";

/// The store of a program that names none, and of a command without `--db`: the first there is of `$FLUX_STORE`, a line
/// `db = "orders.db"` in a `flux.toml` of the present folder or one above it (a path counts from that file), and `./flux.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultStore {
    /// A path or a URL.
    pub location: String,
    /// What names it.
    pub named_by: NamedBy,
}

/// What names a [`DefaultStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The environment variable `FLUX_STORE`.
    Environment,
    /// This file.
    File(PathBuf),
    /// Nothing does: it is `./flux.db`.
    Nothing,
}

/// Why a `flux.toml` does not tell which store is meant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file, or the present folder, cannot be read.
    #[error("`{}` cannot be read: {source}", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else than settings.
    #[error("`{}` cannot be read: {reason}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// The file names an empty location.
    #[error("`{}` names no store: `db` is empty", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// What `flux.toml` may hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsFile {
    db: Option<String>,
}

impl DefaultStore {
    /// Finds it out.
    ///
    /// # Errors
    ///
    /// A `flux.toml` that cannot be read, or holds something else.
    pub fn find() -> Result<Self, SettingsError> {
        let named = env::var(VARIABLE).unwrap_or_default();
        if !named.is_empty() {
            return Ok(Self {
                location: named,
                named_by: NamedBy::Environment,
            });
        }
        let here = env::current_dir().map_err(|source| SettingsError::Unreadable {
            path: ".".into(),
            source,
        })?;
        Self::find_from(&here)
    }

    /// By the files of a folder and those above it.
    fn find_from(folder: &Path) -> Result<Self, SettingsError> {
        for folder in folder.ancestors() {
            if let Some(found) = Self::in_folder(folder)? {
                return Ok(found);
            }
        }
        Ok(Self {
            location: FALLBACK.to_owned(),
            named_by: NamedBy::Nothing,
        })
    }

    fn in_folder(folder: &Path) -> Result<Option<Self>, SettingsError> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SettingsError::Unreadable { path, source }),
        };
        let settings: SettingsFile = match toml::from_str(&text) {
            Ok(settings) => settings,
            Err(error) => {
                let reason = error.to_string().trim_end().to_owned();
                return Err(SettingsError::Invalid { path, reason });
            }
        };
        match settings.db {
            None => Ok(None),
            Some(db) if db.is_empty() => Err(SettingsError::Empty { path }),
            Some(db) => Ok(Some(Self {
                location: seen_from(folder, db),
                named_by: NamedBy::File(path),
            })),
        }
    }
}

/// A location as it was written in a folder.
fn seen_from(folder: &Path, location: String) -> String {
    match location.strip_prefix(SQLITE) {
        Some(path) => format!("{SQLITE}{}", folder.join(path).display()),
        None if location.contains("://") => location,
        None => folder.join(location).to_string_lossy().into_owned(),
    }
}

impl From<SettingsError> for Error {
    fn from(error: SettingsError) -> Self {
        Self::Configuration(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(settings: &str) -> Result<DefaultStore, SettingsError> {
        let number = fastrand::u64(..);
        let folder = env::temp_dir().join(format!("flux-settings-{number}"));
        let below = folder.join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(folder.join(FILE), settings).unwrap();
        let found = DefaultStore::find_from(&below);
        fs::remove_dir_all(&folder).unwrap();
        found.map(|mut found| {
            let folder = format!("{}/", folder.display());
            found.location = found.location.replacen(&folder, "FOLDER/", 1);
            found
        })
    }

    #[test]
    fn a_path_counts_from_the_file_that_names_it() {
        let location = |settings| written(settings).unwrap().location;
        assert_eq!(location("db = \"orders.db\""), "FOLDER/orders.db");
        assert_eq!(location("db = 'sqlite:x.db'"), "sqlite:FOLDER/x.db");
        assert_eq!(location("db = \"/var/o.db\""), "/var/o.db");
        assert_eq!(location("db = \"pg://host/o\""), "pg://host/o");
        assert_eq!(location("# nothing"), FALLBACK);
    }

    #[test]
    fn what_is_not_settings_is_an_error_with_its_file() {
        for settings in ["db = 7", "database = \"x\"", "db = \"\"", "db ="] {
            let error = Error::from(written(settings).unwrap_err());
            let text = error.to_string();
            assert!(text.contains(FILE), "{text}");
            assert!(matches!(error, Error::Configuration(_)), "{text}");
        }
    }
}
