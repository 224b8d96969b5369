//! Listings: outputs and statistics, page by page.

use blitd_protocol::reply::{List, Reply, Statistics};
use blitd_protocol::request::Request;
use blitd_protocol::value::StatisticsSubject;
use blitd_protocol::wire::{ClientRecord, DaemonRecord, LayerRecord, OutputRecord, PriorityRecord};

use crate::connection::Connection;
use crate::error::Error;

impl Connection {
    /// The outputs.
    ///
    /// # Errors
    /// The daemon refuses, or the connection is of no more use.
    pub fn outputs(&mut self) -> Result<Vec<OutputRecord>, Error> {
        self.listing(
            |first| Request::Outputs { first },
            |reply| match reply {
                Reply::Outputs(list) => Some(list),
                _ => None,
            },
        )
    }

    /// Statistics of the daemon as a whole.
    ///
    /// # Errors
    /// The daemon refuses, or the connection is of no more use.
    pub fn daemon_statistics(&mut self) -> Result<DaemonRecord, Error> {
        let request = Request::Statistics { subject: StatisticsSubject::Daemon, first: 0 };
        self.call(&request, |reply| match reply {
            Reply::Statistics(Statistics::Daemon(list)) => list.records.first().copied(),
            _ => None,
        })
    }

    /// Statistics of every connection of the daemon.
    ///
    /// They take several messages where they are many; what comes or goes meanwhile may be missing or twice.
    ///
    /// # Errors
    /// The daemon refuses, or the connection is of no more use.
    pub fn client_statistics(&mut self) -> Result<Vec<ClientRecord>, Error> {
        self.listing(
            |first| Request::Statistics { subject: StatisticsSubject::Clients, first },
            |reply| match reply {
                Reply::Statistics(Statistics::Clients(list)) => Some(list),
                _ => None,
            },
        )
    }

    /// Statistics of every layer of the daemon.
    ///
    /// They take several messages where they are many; what comes or goes meanwhile may be missing or twice.
    ///
    /// # Errors
    /// The daemon refuses, or the connection is of no more use.
    pub fn layer_statistics(&mut self) -> Result<Vec<LayerRecord>, Error> {
        self.listing(
            |first| Request::Statistics { subject: StatisticsSubject::Layers, first },
            |reply| match reply {
                Reply::Statistics(Statistics::Layers(list)) => Some(list),
                _ => None,
            },
        )
    }

    /// How long requests of each priority have waited and taken since the daemon's start, from the lowest priority on.
    /// A priority that no request has had is left out.
    ///
    /// They take several messages where they are many; what is answered meanwhile is in the later ones.
    ///
    /// # Errors
    /// The daemon refuses, or the connection is of no more use.
    pub fn priority_statistics(&mut self) -> Result<Vec<PriorityRecord>, Error> {
        self.listing(
            |first| Request::Statistics { subject: StatisticsSubject::Priorities, first },
            |reply| match reply {
                Reply::Statistics(Statistics::Priorities(list)) => Some(list),
                _ => None,
            },
        )
    }

    fn listing<T>(
        &mut self,
        request: impl Fn(u32) -> Request<'static>,
        page: impl Fn(Reply<'static>) -> Option<List<T>>,
    ) -> Result<Vec<T>, Error> {
        let mut records = Vec::new();
        loop {
            let first = u32::try_from(records.len()).unwrap_or(u32::MAX);
            let list = self.call(&request(first), |reply| page(reply).filter(|list| list.first == first))?;
            let is_last = list.records.is_empty();
            records.extend(list.records);
            if is_last || records.len() as u64 >= u64::from(list.total) {
                return Ok(records);
            }
        }
    }
}
