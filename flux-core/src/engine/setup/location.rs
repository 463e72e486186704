//! Where a store is, and the kinds of stores that can be opened.

use std::time::Duration;

use futures::future::BoxFuture;
use std::sync::Arc;

use super::default_store::DefaultStore;
use crate::error::Error;
use crate::store::{Durability, Maintenance, Store, StoreError};

/// A store that is being opened.
pub type Opening = BoxFuture<'static, Result<Arc<dyn Store>, StoreError>>;

/// A kind of store that can be opened by its location; a backend submits itself with `inventory`.
#[derive(Debug)]
pub struct Backend {
    /// What its locations begin with, before the colon: `sqlite`.
    pub scheme: &'static str,
    /// Whether a location without a scheme is a path for it.
    pub takes_paths: bool,
    /// Opens a store.
    pub open: fn(StoreLocation) -> Opening,
    /// Looks after the store at a place, which is not touched before it is asked for something.
    pub maintain: fn(place: &str) -> Box<dyn Maintenance>,
}

inventory::collect!(Backend);

/// Where a store is, and what it is told.
#[derive(Debug, Clone)]
pub struct StoreLocation {
    /// A path, or what else the backend understands, without the scheme.
    pub place: String,
    /// How durable commits are.
    pub durability: Durability,
    /// How long a worker may show nothing before others take over; `None`: what the backend thinks right.
    pub stall_after: Option<Duration>,
    /// Whether it is opened by an [onlooker](crate::EngineBuilder::onlooker): opening creates nothing, brings no tables to
    /// the present version and writes nothing.
    pub is_onlooker: bool,
}

/// Looks after a store by its location, a path or `scheme:place`; without one, the store of
/// [`Engine::global`](crate::Engine::global). It need not exist, and its tables may be older or newer than this program.
///
/// # Errors
///
/// [`Error::Configuration`] where no kind of store understands the location.
pub fn maintain(location: Option<&str>) -> Result<Box<dyn Maintenance>, Error> {
    let location = match location {
        Some(location) => location.to_owned(),
        None => DefaultStore::find()?.location,
    };
    let (backend, place) = find_backend(&location)?;
    Ok((backend.maintain)(place))
}

/// Opens a store by its location, whose place is a path or `scheme:place`.
pub(crate) async fn open_location(at: StoreLocation) -> Result<Arc<dyn Store>, Error> {
    let (backend, place) = find_backend(&at.place)?;
    let place = place.to_owned();
    Ok((backend.open)(StoreLocation { place, ..at }).await?)
}

/// The kind of store that understands a location, and the place without the scheme.
fn find_backend(location: &str) -> Result<(&'static Backend, &str), Error> {
    let backends = || inventory::iter::<Backend>.into_iter();
    let by_scheme = backends().find_map(|backend| {
        let place = location.strip_prefix(backend.scheme)?.strip_prefix(':')?;
        Some((backend, place.strip_prefix("//").unwrap_or(place)))
    });
    let has_other_scheme = location.contains("://");
    let by_path = || {
        backends()
            .find(|backend| backend.takes_paths && !has_other_scheme)
            .map(|b| (b, location))
    };
    by_scheme.or_else(by_path).ok_or_else(|| {
        let known: Vec<_> = backends()
            .map(|known| format!("`{}:..`", known.scheme))
            .collect();
        let known = known.join(", ");
        Error::Configuration(format!(
            "no store understands the location `{location}`; known are paths and {known}"
        ))
    })
}
