//! How many connections a pool lets in: a rate, and a number for each address. What it is told of addresses is text; texts
//! of the same address count as one.

use super::super::Error;
use super::{failed, Key, Phase, Pool};
use crate::clock::{self, Nanos};
use std::collections::HashMap;
use std::net::IpAddr;

/// The most that can be asked for.
const MAX_RATE: i32 = 1_000_000;
const MAX_PER_IP: i32 = super::MAX_CONNECTIONS as i32;

/// Tokens that come with time; each connection takes one.
#[derive(Debug)]
struct Bucket {
    per_second: u32,
    burst: u32,
    tokens: f64,
    at: Nanos,
}

impl Bucket {
    fn refill(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.at) as f64 / clock::SECOND as f64;
        self.at = now;
        let tokens = self.tokens + passed * f64::from(self.per_second);
        self.tokens = tokens.min(f64::from(self.burst));
    }
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    rate: Option<Bucket>,
    /// 0: any number.
    per_ip: usize,
    counts: HashMap<String, usize>,
    /// What was counted for a socket by the pool itself, by the address of its handle.
    of_socket: HashMap<Key, String>,
}

fn canonical(ip: &str) -> String {
    ip.parse::<IpAddr>()
        .map_or_else(|_| ip.to_owned(), |ip| ip.to_canonical().to_string())
}

impl Limits {
    /// Whether another connection may come now.
    pub(super) fn rate_allows(&mut self, now: Nanos) -> bool {
        self.rate.as_mut().is_none_or(|bucket| {
            bucket.refill(now);
            bucket.tokens >= 1.0
        })
    }

    /// One has come.
    pub(super) fn count_one(&mut self) {
        if let Some(bucket) = &mut self.rate {
            bucket.tokens -= 1.0;
        }
    }

    pub(super) fn ip_allows(&self, ip: &str) -> bool {
        self.per_ip == 0 || self.count(ip) < self.per_ip
    }

    fn count(&self, ip: &str) -> usize {
        self.counts.get(&canonical(ip)).copied().unwrap_or(0)
    }

    fn track(&mut self, ip: &str) -> bool {
        let allowed = self.ip_allows(ip);
        if allowed {
            *self.counts.entry(canonical(ip)).or_default() += 1;
        }
        allowed
    }

    fn release(&mut self, ip: &str) {
        let ip = canonical(ip);
        if let Some(count) = self.counts.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&ip);
            }
        }
    }

    /// Counts a socket until it is removed.
    pub(super) fn track_socket(&mut self, socket: Key, ip: &str) -> bool {
        self.release_socket(socket);
        let allowed = self.track(ip);
        if allowed {
            self.of_socket.insert(socket, canonical(ip));
        }
        allowed
    }

    pub(super) fn release_socket(&mut self, socket: Key) {
        if let Some(ip) = self.of_socket.remove(&socket) {
            self.release(&ip);
        }
    }
}

impl Pool {
    /// Whether a connection from this address (`None`: from anywhere) would be let in now.
    pub fn accept_allowed(&self, ip: Option<&str>) -> bool {
        let mut state = self.lock();
        state.phase == Phase::Running
            && state.limits.rate_allows(clock::now())
            && ip.is_none_or(|ip| state.limits.ip_allows(ip))
    }

    /// So many connections a second, after a burst of so many (0 and below: as many as a second's). 0 and below: any number.
    pub fn set_rate(&self, per_second: i32, burst: i32) -> Result<(), Error> {
        if per_second > MAX_RATE || burst > MAX_RATE {
            return Err(failed(format!(
                "SocketPool_setconnrate: a rate above {MAX_RATE}"
            )));
        }
        let rate = u32::try_from(per_second)
            .ok()
            .filter(|rate| *rate > 0)
            .map(|per_second| {
                let burst = match u32::try_from(burst) {
                    Ok(0) | Err(_) => per_second,
                    Ok(burst) => burst,
                };
                Bucket {
                    per_second,
                    burst,
                    tokens: burst.into(),
                    at: clock::now(),
                }
            });
        self.lock().limits.rate = rate;
        Ok(())
    }

    /// Connections a second; 0: any number.
    pub fn rate(&self) -> i32 {
        let rate = self.lock().limits.rate.as_ref().map(|b| b.per_second);
        rate.map_or(0, |rate| rate as i32)
    }

    /// So many connections of an address at a time. 0 and below: any number.
    pub fn set_max_per_ip(&self, max: i32) -> Result<(), Error> {
        if max > MAX_PER_IP {
            return Err(failed(format!(
                "SocketPool_setmaxperip: {max} is above {MAX_PER_IP}"
            )));
        }
        self.lock().limits.per_ip = usize::try_from(max).unwrap_or(0);
        Ok(())
    }

    /// Connections of an address; 0: any number.
    pub fn max_per_ip(&self) -> i32 {
        self.lock().limits.per_ip as i32
    }

    /// Counts a connection of this address; `false`, and not counted, when there are too many.
    pub fn track_ip(&self, ip: &str) -> bool {
        self.lock().limits.track(ip)
    }

    /// One less of this address.
    pub fn release_ip(&self, ip: &str) {
        self.lock().limits.release(ip);
    }

    /// How many connections of this address are counted.
    pub fn ip_count(&self, ip: &str) -> usize {
        self.lock().limits.count(ip)
    }
}
