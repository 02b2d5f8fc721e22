//! Follows one kind of object: list, watch, and back to the list only where the API server has
//! forgotten where the watch was.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tapetum_model::UnixNanos;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::Clock;
use super::api::{Api, ApiError, Status};
use super::lines::Lines;
use super::pace::{Backoff, Pace, Random};
use crate::counts::Counts;
use crate::object::{self, Meta};
use crate::{Kind, Moment, Seen};

/// Objects a page of a list.
const PAGE: usize = 500;
const JSON: &str = "application/json";
/// For so long at most after a watch went on, what comes may have happened while it was cut off: for as
/// long as it was, and a moment more. It is over as soon as nothing comes for a moment.
const CATCH_UP: Duration = Duration::from_secs(30);
const CAUGHT_UP: Duration = Duration::from_secs(1);

/// After so many failures the way to the API server is made anew: its certificate may be another.
const RENEW_AFTER: u32 = 4;

/// An object of a kind that is followed.
pub(crate) trait Object: DeserializeOwned + Send + 'static {
    fn meta(&self) -> &Meta;
    fn wrap(self) -> Whole;
}

/// An object of any kind.
pub(crate) enum Whole {
    Pod(Box<object::Pod>),
    Service(Box<object::Service>),
    Endpoints(Box<object::EndpointSlice>),
    Node(Box<object::Node>),
}

/// What the writer is told.
pub(crate) enum News {
    /// An object is, or changed.
    Is(Whole, Moment),
    /// An object is gone; this is what it was at last.
    Gone(Whole, Moment),
    /// A whole list was read.
    Listed(Kind, Seen, Moment),
    /// It may not be read, and was last heard then.
    Refused(Kind, Option<UnixNanos>, String),
    /// The API server is heard again, and has said what was missed.
    Heard(Kind),
    /// The UID of the namespace `kube-system`.
    ClusterUid(String),
    /// It is not heard, and was last then (`None`: never).
    Cut(Kind, Option<UnixNanos>, String),
}

/// Follows one kind.
pub(crate) struct Follower {
    pub(crate) kind: Kind,
    /// `/api/v1/pods`
    pub(crate) path: &'static str,
    /// `fieldSelector=…`, or empty.
    pub(crate) selector: String,
    pub(crate) api: Api,
    pub(crate) counts: Arc<Counts>,
    pub(crate) clock: Clock,
    pub(crate) pace: Pace,
    pub(crate) random: Random,
    pub(crate) news: mpsc::Sender<News>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMeta,
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMeta {
    resource_version: String,
    r#continue: String,
}

#[derive(Deserialize)]
struct Event<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

/// Where a follower is.
struct Place {
    /// Where the watch goes on; empty: nowhere, a list is needed.
    version: String,
    /// When the API server was last heard.
    heard: Option<UnixNanos>,
    backoff: Backoff,
}

/// The writer is gone: so is the reason to follow.
struct Unwanted;

impl Follower {
    /// Follows until nobody wants it any more.
    pub(crate) async fn run<T: Object>(mut self) {
        let backoff = Backoff::new(self.pace, self.random.clone());
        let mut place = Place {
            version: String::new(),
            heard: None,
            backoff,
        };
        while !self.news.is_closed() {
            let step = match place.version.is_empty() {
                true => self.list::<T>(&mut place).await,
                false => self.watch::<T>(&mut place).await,
            };
            let Err(error) = step else { continue };
            if self.failed(&mut place, error).await.is_err() {
                return;
            }
        }
    }

    /// Tells of a failure and waits as long as is due.
    async fn failed(&mut self, place: &mut Place, error: ApiError) -> Result<(), Unwanted> {
        debug!(kind = self.kind.name(), "{error}");
        let mut wait = place.backoff.next();
        let news = match error {
            ApiError::Expired => {
                place.version.clear();
                // The first list comes soon; one after the other is a server that cannot keep a watch.
                sleep(wait).await;
                return Ok(());
            }
            ApiError::Forbidden(why) => News::Refused(self.kind, place.heard, why),
            // Whatever it could not say, a list says it.
            ApiError::Other(why) => {
                place.version.clear();
                News::Cut(self.kind, place.heard, why)
            }
            ApiError::Busy {
                after: Some(after), ..
            } => {
                wait = wait.max(after.min(self.pace.most));
                News::Cut(self.kind, place.heard, error.to_string())
            }
            _ => {
                if place.backoff.failures() >= RENEW_AFTER {
                    self.api.renew().await;
                }
                News::Cut(self.kind, place.heard, error.to_string())
            }
        };
        self.tell(news).await?;
        sleep(wait).await;
        Ok(())
    }

    async fn list<T: Object>(&mut self, place: &mut Place) -> Result<(), ApiError> {
        self.counts.list();
        // What is in the list can have happened at any time since the API server was last heard.
        let fresh = Some(place.heard.unwrap_or_default());
        let begun = (self.clock)();
        let mut seen = Seen::default();
        let mut token = String::new();
        loop {
            let mut path = format!("{}?limit={PAGE}", self.path);
            for part in [&self.selector, &token] {
                if !part.is_empty() {
                    path.push('&');
                    path.push_str(part);
                }
            }
            let bytes = self.api.read(&path, JSON).await?;
            let page: Page<'_> = serde_json::from_slice(&bytes)
                .map_err(|why| ApiError::Other(format!("a list that cannot be read: {why}")))?;
            let now = self.moment(fresh);
            for item in page.items.iter().flatten() {
                let Some(object) = self.object::<T>(item) else {
                    continue;
                };
                seen.add(object.meta());
                let Ok(()) = self.tell(News::Is(object.wrap(), now)).await else {
                    return Ok(());
                };
            }
            if page.metadata.r#continue.is_empty() {
                place.version = page.metadata.resource_version;
                break;
            }
            token = format!("continue={}", encoded(&page.metadata.r#continue));
        }
        if place.version.is_empty() {
            return Err(ApiError::Other("a list without a version".to_owned()));
        }
        let now = self.moment(fresh);
        // Its later pages show what was when the first was asked for.
        place.heard = Some(begun);
        place.backoff.reset();
        let _ = self.tell(News::Listed(self.kind, seen, now)).await;
        Ok(())
    }

    async fn watch<T: Object>(&mut self, place: &mut Place) -> Result<(), ApiError> {
        let keep = self.pace.watch + self.random.up_to(self.pace.watch / 2);
        let mut path = format!(
            "{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            self.path,
            keep.as_secs().max(1),
            encoded(&place.version),
        );
        if !self.selector.is_empty() {
            path.push('&');
            path.push_str(&self.selector);
        }
        let stream = self.api.open(&path, JSON).await?;
        let opened = Instant::now();
        let ended = self.stream::<T>(Lines::new(stream), place).await;
        self.counts.restart();
        // An end is usual; one that comes at once is not.
        let lived = opened.elapsed() >= self.pace.first;
        if lived {
            place.backoff.reset();
        }
        if ended.is_ok() && !lived {
            sleep(place.backoff.next()).await;
        }
        ended
    }

    async fn stream<T: Object>(&self, mut lines: Lines, place: &mut Place) -> Result<(), ApiError> {
        let opened = Instant::now();
        let gap = place
            .heard
            .map_or(CATCH_UP, |heard| (self.clock)().since(heard));
        let catch_up = CATCH_UP.min(CAUGHT_UP + gap);
        // What is missed comes first. Until all of it has come the API server counts as not heard: what
        // is told now happened at any time since.
        let mut missed = true;
        loop {
            let patience = match missed {
                true => CAUGHT_UP.min(self.pace.silence),
                false => self.pace.silence,
            };
            let line = match timeout(patience, lines.next()).await {
                Ok(line) => Some(line?),
                Err(_) if missed => None,
                Err(_) => return Err(ApiError::Unreachable("nothing came for long".to_owned())),
            };
            if missed && (line.is_none() || opened.elapsed() >= catch_up) {
                missed = false;
                if self.tell(News::Heard(self.kind)).await.is_err() {
                    return Ok(());
                }
            }
            let now = self.moment(place.heard.filter(|_| missed));
            let news = match line {
                None => None,
                Some(None) => {
                    place.heard = place.heard.filter(|_| missed).or(Some(now.at));
                    return Ok(());
                }
                Some(Some(line)) => self.event::<T>(line, now, &mut place.version)?,
            };
            place.heard = place.heard.filter(|_| missed).or(Some(now.at));
            if let Some(news) = news
                && self.tell(news).await.is_err()
            {
                return Ok(());
            }
        }
    }

    fn event<T: Object>(
        &self,
        line: &[u8],
        now: Moment,
        version: &mut String,
    ) -> Result<Option<News>, ApiError> {
        let unreadable = |why: serde_json::Error| {
            ApiError::Other(format!("an event that cannot be read: {why}"))
        };
        let event: Event<'_> = serde_json::from_slice(line).map_err(unreadable)?;
        if event.r#type == "ERROR" {
            let status: Status = serde_json::from_str(event.object.get()).unwrap_or_default();
            return Err(status.error(None));
        }
        if event.r#type == "BOOKMARK" {
            let bare: object::Bare =
                serde_json::from_str(event.object.get()).map_err(unreadable)?;
            *version = bare.metadata.resource_version;
            return Ok(None);
        }
        self.counts.event();
        let Some(object) = self.object::<T>(event.object) else {
            return Ok(None);
        };
        version.clone_from(&object.meta().resource_version);
        Ok(Some(match event.r#type {
            "DELETED" => News::Gone(object.wrap(), now),
            _ => News::Is(object.wrap(), now),
        }))
    }

    /// An object; one that cannot be read is passed over, because the others are still right.
    fn object<T: Object>(&self, raw: &RawValue) -> Option<T> {
        match serde_json::from_str(raw.get()) {
            Ok(object) => Some(object),
            Err(why) => {
                self.counts.unreadable();
                warn!(
                    kind = self.kind.name(),
                    "an object cannot be read and has no name here: {why}"
                );
                None
            }
        }
    }

    fn moment(&self, fresh: Option<UnixNanos>) -> Moment {
        let now = (self.clock)();
        match fresh {
            Some(fresh) => Moment::after_a_cut(now, fresh),
            None => Moment::fresh(now),
        }
    }

    async fn tell(&self, news: News) -> Result<(), Unwanted> {
        self.news.send(news).await.map_err(|_| Unwanted)
    }
}

/// A value in a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Object for object::Pod {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn wrap(self) -> Whole {
        Whole::Pod(Box::new(self))
    }
}

impl Object for object::Service {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn wrap(self) -> Whole {
        Whole::Service(Box::new(self))
    }
}

impl Object for object::EndpointSlice {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn wrap(self) -> Whole {
        Whole::Endpoints(Box::new(self))
    }
}

impl Object for object::Node {
    fn meta(&self) -> &Meta {
        &self.metadata
    }

    fn wrap(self) -> Whole {
        Whole::Node(Box::new(self))
    }
}
