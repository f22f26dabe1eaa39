//! A faulty network: a TCP proxy that delays, throttles, stalls, cuts and counts on request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

/// Maximum number of bytes in transit in one direction. It is more than any window, so that a delay alone costs no
/// throughput.
const IN_FLIGHT: usize = 64 << 20;
const CHUNK: usize = 32 << 10;

/// From the laptop to the host, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// How a connection ends when it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both ends get a reset.
    Reset,
    /// Both ends get an end of stream.
    Closed,
}

/// A proxy that listens on a loopback port of its own until it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    net: Arc<Net>,
    _runtime: Runtime,
}

/// The settings of the network, and its counters.
struct Net {
    target: SocketAddr,
    /// Microseconds in each direction.
    delay: AtomicU64,
    /// New connections that are closed at once. `usize::MAX` means all.
    refuse: AtomicUsize,
    /// Grows at each cut. Connections of an older generation are ended.
    generation: watch::Sender<u64>,
    /// How a cut ends a connection.
    end: Mutex<End>,
    /// Whether a cut also refuses new connections.
    for_good: AtomicBool,
    stalled: watch::Sender<bool>,
    /// Grows when connections go dead. Older connections pass no more bytes, without any notice to either end.
    dead: watch::Sender<u64>,
    connections: AtomicUsize,
    refused: AtomicUsize,
    up: Flow,
    down: Flow,
    /// The counter for connections from now on.
    chain: Mutex<Arc<Chain>>,
}

/// The longest chain of messages at either end, where each message may have waited for the one before. An answer is as
/// deep as the deepest message that its sender had received. The laptop's next message is one deeper. Each step of the
/// chain costs a round trip.
#[derive(Default)]
struct Chain {
    laptop: AtomicU64,
    host: AtomicU64,
}

impl Chain {
    /// Depth of the bytes that are sent now.
    fn sent(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.laptop.load(Ordering::Relaxed) + 1,
            Direction::Down => self.host.load(Ordering::Relaxed),
        }
    }

    fn received(&self, direction: Direction, depth: u64) {
        let end = if direction == Direction::Up { &self.host } else { &self.laptop };
        end.fetch_max(depth, Ordering::Relaxed);
    }
}

/// One direction, all connections together.
#[derive(Default)]
struct Flow {
    bytes: AtomicU64,
    /// Cut everything once `bytes` reaches this number.
    cut_at: Mutex<Option<u64>>,
    /// Bytes per second. 0 is unlimited.
    rate: AtomicU64,
}

impl Proxy {
    /// A proxy in front of `target`. It adds no faults yet.
    pub fn to(target: SocketAddr) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let net = Arc::new(Net {
            target,
            delay: AtomicU64::new(0),
            refuse: AtomicUsize::new(0),
            generation: watch::Sender::new(0),
            end: Mutex::new(End::Reset),
            for_good: AtomicBool::new(false),
            stalled: watch::Sender::new(false),
            dead: watch::Sender::new(0),
            connections: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            up: Flow::default(),
            down: Flow::default(),
            chain: Mutex::default(),
        });
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, net.clone()));
        Proxy { address, net, _runtime: runtime }
    }

    /// Adds to every round trip, half of it in each direction.
    pub fn round_trip(&self, time: Duration) {
        self.net.delay.store(time.as_micros() as u64 / 2, Ordering::Relaxed);
    }

    /// Limits a direction to this number of bytes per second, all connections together. 0 removes the limit.
    pub fn throttle(&self, direction: Direction, bytes_per_second: u64) {
        self.net.flow(direction).rate.store(bytes_per_second, Ordering::Relaxed);
    }

    /// Resets every connection once `bytes` more have passed in a direction. Happens once.
    pub fn cut_after(&self, direction: Direction, bytes: u64) {
        let flow = self.net.flow(direction);
        *flow.cut_at.lock().unwrap() = Some(flow.bytes.load(Ordering::Relaxed) + bytes);
    }

    /// The same, but connections end as `end` says.
    pub fn cut_so_after(&self, direction: Direction, bytes: u64, end: End) {
        *self.net.end.lock().unwrap() = end;
        self.cut_after(direction, bytes);
    }

    /// The same, but new connections are refused until [`Proxy::refuse`] allows them.
    pub fn cut_for_good_after(&self, direction: Direction, bytes: u64, end: End) {
        self.net.for_good.store(true, Ordering::Relaxed);
        self.cut_so_after(direction, bytes, end);
    }

    /// Cancels a requested cut.
    pub fn cut_no_more(&self) {
        for direction in [Direction::Up, Direction::Down] {
            *self.net.flow(direction).cut_at.lock().unwrap() = None;
        }
        self.net.for_good.store(false, Ordering::Relaxed);
    }

    /// Whether a requested cut has not happened yet.
    pub fn cut_is_due(&self, direction: Direction) -> bool {
        self.net.flow(direction).cut_at.lock().unwrap().is_some()
    }

    /// Resets every connection now. New ones are accepted.
    pub fn cut(&self) {
        self.net.cut();
    }

    /// While true nothing passes, and neither end is notified, as when a laptop leaves the room.
    pub fn stall(&self, on: bool) {
        self.net.stalled.send_replace(on);
    }

    /// Nothing passes on the present connections any more, and neither end is notified. New ones are accepted. A sleep
    /// of the laptop leaves connections in this state.
    pub fn deaden(&self) {
        self.net.dead.send_modify(|dead| *dead += 1);
    }

    /// While true new connections are closed at once.
    pub fn refuse(&self, on: bool) {
        self.refuse_next(if on { usize::MAX } else { 0 });
    }

    /// Closes this number of next connections at once.
    pub fn refuse_next(&self, count: usize) {
        self.net.refuse.store(count, Ordering::Relaxed);
    }

    /// Connections closed at once so far.
    pub fn refused(&self) -> usize {
        self.net.refused.load(Ordering::Relaxed)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.net.connections.load(Ordering::Relaxed)
    }

    /// Consecutive round trips that the bytes at the host have taken so far, including the last trip to the host. TCP's
    /// own handshake is not counted. Valid only with a delay.
    pub fn round_trips(&self) -> u64 {
        self.net.chain.lock().unwrap().host.load(Ordering::Relaxed)
    }

    /// Resets the counter. It counts only new connections, because bytes of old ones are in transit for a while.
    pub fn count_anew(&self) {
        *self.net.chain.lock().unwrap() = Arc::default();
    }

    /// Bytes that have passed in a direction so far.
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.net.flow(direction).bytes.load(Ordering::Relaxed)
    }
}

impl Net {
    fn flow(&self, direction: Direction) -> &Flow {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    fn cut(&self) {
        if self.for_good.load(Ordering::Relaxed) {
            self.refuse.store(usize::MAX, Ordering::Relaxed);
        }
        self.generation.send_modify(|generation| *generation += 1);
    }

    /// Whether a new connection must be closed at once.
    fn refuses(&self) -> bool {
        let fewer = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
        let refuses = self.refuse.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok();
        if refuses {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        refuses
    }
}

async fn accept(listener: TcpListener, net: Arc<Net>) {
    while let Ok((laptop, _)) = listener.accept().await {
        if net.refuses() {
            let _ = laptop.set_zero_linger();
            continue;
        }
        let Ok(host) = TcpStream::connect(net.target).await else { continue };
        net.connections.fetch_add(1, Ordering::Relaxed);
        let _ = (laptop.set_nodelay(true), host.set_nodelay(true));
        tokio::spawn(connection(laptop, host, net.clone()));
    }
}

async fn connection(mut laptop: TcpStream, mut host: TcpStream, net: Arc<Net>) {
    let mut generation = net.generation.subscribe();
    let cut = {
        let (from_laptop, to_laptop) = laptop.split();
        let (from_host, to_host) = host.split();
        let chain = net.chain.lock().unwrap().clone();
        let up = carry(from_laptop, to_host, Direction::Up, &net, &chain);
        let down = carry(from_host, to_laptop, Direction::Down, &net, &chain);
        tokio::select! {
            _ = generation.changed() => true,
            () = async { tokio::join!(up, down); } => false,
        }
    };
    if cut && *net.end.lock().unwrap() == End::Reset {
        let _ = (laptop.set_zero_linger(), host.set_zero_linger());
    }
}

/// Forwards one direction to its end, and then forwards the end.
async fn carry(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, direction: Direction, net: &Net, chain: &Chain) {
    let (queue, mut due) = mpsc::unbounded_channel::<(Instant, u64, Vec<u8>)>();
    let room = Semaphore::new(IN_FLIGHT);
    let take = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let Ok(permit) = room.acquire_many(length as u32).await else { break };
            permit.forget();
            let delay = Duration::from_micros(net.delay.load(Ordering::Relaxed));
            let _ = queue.send((Instant::now() + delay, chain.sent(direction), buffer[..length].to_vec()));
        }
        drop(queue);
    };
    let give = async {
        let (mut stalled, dead) = (net.stalled.subscribe(), net.dead.subscribe());
        while let Some((time, depth, bytes)) = due.recv().await {
            tokio::time::sleep_until(time).await;
            let _ = stalled.wait_for(|stalled| !stalled).await;
            if dead.has_changed().unwrap_or(true) {
                return std::future::pending().await;
            }
            // This happens before the bytes are written, because an answer could otherwise come first.
            chain.received(direction, depth);
            let written = pass(&bytes, &mut to, direction, net).await;
            room.add_permits(bytes.len());
            if written.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(take, give);
}

/// Writes a chunk at the rate of its direction, up to the byte at which the connection is cut.
async fn pass(bytes: &[u8], to: &mut WriteHalf<'_>, direction: Direction, net: &Net) -> std::io::Result<()> {
    let flow = net.flow(direction);
    let rate = flow.rate.load(Ordering::Relaxed);
    if rate > 0 {
        tokio::time::sleep(Duration::from_secs_f64(bytes.len() as f64 / rate as f64)).await;
    }
    let before = flow.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    let cut_at = *flow.cut_at.lock().unwrap();
    match cut_at {
        Some(end) if end <= before + bytes.len() as u64 => {
            to.write_all(&bytes[..end.saturating_sub(before) as usize]).await?;
            *flow.cut_at.lock().unwrap() = None;
            net.cut();
            std::future::pending().await
        }
        _ => to.write_all(bytes).await,
    }
}
