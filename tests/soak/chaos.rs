//! What happens to processes, disks and clocks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use flux::sqlite::rusqlite::{Connection, OpenFlags};

use crate::clock::WallClock;
use crate::feature::Feature;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::process::Process;
use crate::script::ms;
use crate::site::Site;

const WORKERS: usize = 3;
const SIGTERM: i32 = 15;
/// After this a worker has told the store that the clock was set back.
const NOTICED: Duration = Duration::from_secs(3);

/// The processes of a round.
pub struct Crowd {
    site: Site,
    plan: Plan,
    workers: Vec<Process>,
    desk: Option<Process>,
}

impl Crowd {
    fn gather(site: &Site, plan: Plan) -> Self {
        let mut crowd = Self {
            site: site.clone(),
            plan,
            workers: Vec::new(),
            desk: None,
        };
        crowd.desk = Some(crowd.start("desk", 2));
        crowd.workers = (0..WORKERS).map(|nth| crowd.worker(nth)).collect();
        crowd
    }

    fn start(&self, role: &str, version: u32) -> Process {
        Process::start(&self.site, &self.plan, role, version)
    }

    /// The first has the old code, if there are two versions.
    fn worker(&self, nth: usize) -> Process {
        let is_old = nth == 0 && Feature::Versions.is_on();
        self.start("worker", if is_old { 1 } else { 2 })
    }

    /// Replaces what has ended; how a process ended that should not have.
    pub fn tend(&mut self) -> Result<(), String> {
        for nth in 0..WORKERS {
            if let Some(status) = self.workers[nth].ended() {
                self.workers[nth] = self.worker(nth);
                // One that was still opening the store had nothing to end gracefully.
                let was_told = status.signal() == Some(SIGTERM);
                if !status.success() && !was_told {
                    return Err(format!("a worker ended with {status}"));
                }
            }
        }
        let desk = self.desk.as_mut().and_then(Process::ended);
        if let Some(status) = desk {
            return Err(format!("the desk ended with {status}"));
        }
        Ok(())
    }

    /// Nothing more is started, and who was stopped goes on.
    fn calm(&mut self) {
        self.desk = None;
        for worker in &mut self.workers {
            if worker.is_stopped() {
                worker.send("CONT");
            }
        }
        // One more, in case all others have the old code or are broken.
        let heir = self.start("worker", 2);
        self.workers.push(heir);
    }

    fn kill(&mut self, dice: &mut Rng) {
        if dice.u32(..4) == 0 {
            self.desk.as_mut().unwrap().kill();
            self.desk = Some(self.start("desk", 2));
        } else {
            let nth = dice.usize(..WORKERS);
            self.workers[nth].kill();
            self.workers[nth] = self.worker(nth);
        }
    }

    fn stop(&mut self, ledger: &Ledger, length: Duration, dice: &mut Rng) -> Ends {
        let nth = dice.usize(..WORKERS);
        if self.workers[nth].is_stopped() {
            return Ends::Now;
        }
        ledger.write(&format!("stopped {}", self.workers[nth].id()));
        self.workers[nth].send("STOP");
        Ends::Continue(Instant::now() + length, self.workers[nth].id())
    }

    fn proceed(&mut self, pid: u32) {
        let stopped = self.workers.iter_mut().find(|it| it.id() == pid);
        if let Some(stopped) = stopped {
            stopped.send("CONT");
        }
    }
}

/// When something that lasts is over.
enum Ends {
    Now,
    Continue(Instant, u32),
    Unlock(Instant, Connection),
    Empty(Instant),
    Hurry(JoinHandle<()>),
}

/// Lets things happen, one after another and some at the same time.
struct Chaos {
    site: Site,
    /// The disk can be filled.
    is_small: bool,
    plan: Plan,
    ledger: Ledger,
    dice: Rng,
    lasting: Vec<Ends>,
    count: Count,
}

/// How often each thing happened.
pub type Count = BTreeMap<&'static str, u32>;

/// Lets everything happen for as long as planned; who is left, and what happened.
pub fn rage(site: Site, is_small: bool, plan: Plan) -> Result<(Crowd, Count), String> {
    let began = Instant::now();
    let mut crowd = Crowd::gather(&site, plan);
    let mut chaos = Chaos::on(site, is_small, plan);
    while began.elapsed() < plan.storm {
        chaos.happen(&mut crowd);
        crowd.tend()?;
        thread::sleep(ms(chaos.dice.u64(50..500)));
    }
    chaos.end(&mut crowd, true);
    crowd.calm();
    Ok((crowd, chaos.count))
}

impl Chaos {
    fn on(site: Site, is_small: bool, plan: Plan) -> Self {
        Self {
            ledger: Ledger::open(&site.ledger()),
            site,
            is_small,
            plan,
            dice: Rng::with_seed(plan.seed),
            lasting: Vec::new(),
            count: Count::new(),
        }
    }

    fn counts(&mut self, what: &'static str) {
        *self.count.entry(what).or_default() += 1;
    }

    /// Lets something happen, and ends what has lasted long enough.
    fn happen(&mut self, crowd: &mut Crowd) {
        self.end(crowd, false);
        let longest = if self.plan.is_long { 12_000 } else { 4_000 };
        // Short ones are frequent.
        let length = ms(self.dice.u64(1..self.dice.clone().u64(2..longest)));
        let until = Instant::now() + length;
        match self.dice.u32(..12) {
            0..=3 if Feature::Kill.is_on() => {
                self.counts("killed");
                crowd.kill(&mut self.dice);
            }
            4 if Feature::Term.is_on() => {
                self.counts("told to end");
                let nth = self.dice.usize(..WORKERS);
                crowd.workers[nth].send("TERM");
            }
            5 | 6 if Feature::Stop.is_on() => {
                self.counts("stopped");
                // Often for longer than it takes to count as stalled.
                let length = ms(self.dice.u64(300..longest));
                let ends = crowd.stop(&self.ledger, length, &mut self.dice);
                self.lasting.push(ends);
            }
            7 if Feature::Lock.is_on() => self.lock(until),
            8 if Feature::Slow.is_on() => {
                self.counts("slow");
                let site = self.site.clone();
                self.lasting
                    .push(Ends::Hurry(thread::spawn(move || hog(&site, until))));
            }
            9 if self.is_small => {
                self.counts("full");
                fill(&self.site);
                self.lasting.push(Ends::Empty(until));
            }
            10 if Feature::Clock.is_on() => {
                // Other chaos ends before, and begins when the workers have noticed the step and told the store.
                self.end(crowd, true);
                self.counts("clock set");
                // Seconds, or as far as a machine that slept for hours.
                let most = if self.dice.bool() { 5_000 } else { 10_000_000 };
                let ahead = self.dice.i64(-most..most);
                WallClock::set(&self.site.clock(), ahead);
                thread::sleep(NOTICED);
            }
            _ => {}
        }
    }

    fn lock(&mut self, until: Instant) {
        if let Some(connection) = lock(&self.site) {
            self.counts("locked");
            self.lasting.push(Ends::Unlock(until, connection));
        }
    }

    /// Ends what has lasted long enough, or everything.
    fn end(&mut self, crowd: &mut Crowd, all: bool) {
        let now = Instant::now();
        for ends in std::mem::take(&mut self.lasting) {
            match ends {
                Ends::Continue(until, pid) if all || until <= now => crowd.proceed(pid),
                Ends::Unlock(until, connection) if all || until <= now => drop(connection),
                Ends::Empty(until) if all || until <= now => {
                    let _ = std::fs::remove_file(self.site.ballast());
                }
                Ends::Hurry(hog) if all || hog.is_finished() => hog.join().unwrap(),
                Ends::Now => {}
                lasts => self.lasting.push(lasts),
            }
        }
    }
}

/// Leaves no room on the disk.
fn fill(site: &Site) {
    let Ok(mut ballast) = File::options()
        .append(true)
        .create(true)
        .open(site.ballast())
    else {
        return;
    };
    for size in [1 << 20, 1 << 12] {
        let block = vec![0; size];
        while ballast.write_all(&block).is_ok() {}
    }
}

/// Takes the lock on writing, for as long as the connection lives.
fn lock(site: &Site) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(site.store(), flags).ok()?;
    connection.busy_timeout(ms(500)).ok()?;
    connection.execute_batch("BEGIN IMMEDIATE").ok()?;
    Some(connection)
}

/// Holds the lock on writing again and again, with little time in between.
fn hog(site: &Site, until: Instant) {
    while Instant::now() < until {
        let held = lock(site);
        thread::sleep(ms(100));
        drop(held);
        thread::sleep(ms(3));
    }
}
