//! The schedule: models are bound by as many workers as there are, each as soon as its parents are.
//!
//! What comes out does not depend on how many there are, or on who was faster. A template that asks the catalog sees what
//! stands before it in the graph's order, so it gets a turn of its own. A hard-coded name is an edge that the graph does not
//! know, so a model with one may have to wait for the next round; when a round settles nothing, what is left are models that
//! wait for each other, and one worker binds them in order.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::bind::{Patience, Settled, Step, bind_model};
use super::ground::Ground;
use crate::engine::shadow::Shadow;
use crate::error::{Error, Result};
use crate::manifest::{Materialization, Node};
use crate::names::NodeId;

/// Templates and DuckDB's binder recurse; this is address space, not memory.
const STACK: usize = 64 << 20;

/// Fewer models than this are not worth another worker.
const WORTH_A_WORKER: usize = if cfg!(test) { 1 } else { 16 };

/// Binds all models that are not settled yet, and gives what became of each.
pub(super) fn bind_models(ground: &Ground<'_>, shadows: &mut [Shadow]) -> Result<HashMap<NodeId, Settled>> {
    let order = ground.workspace.topological();
    let mut left: Vec<&Node> = order.iter().filter_map(|id| ground.node(id)).collect();
    left.retain(|node| !ground.is_settled(&node.id));
    let mut done = HashMap::with_capacity(left.len());
    let mut patience = Patience::Wait;
    while !left.is_empty() {
        let before = left.len();
        let mut waiting = Vec::new();
        for part in left.chunk_by(|one, next| !one.asks_database && !next.asks_database) {
            let workers = match patience {
                Patience::Wait => shadows.len().min(1 + part.len() / WORTH_A_WORKER),
                Patience::None => 1,
            };
            let round = Round::new(ground, part.to_vec(), patience);
            waiting.extend(round.run(&mut shadows[..workers], &mut done)?);
        }
        left = waiting;
        if left.len() == before {
            patience = Patience::None;
        }
    }
    Ok(done)
}

/// Models that can be bound at the same time, as far as they do not read each other.
struct Round<'a> {
    ground: &'a Ground<'a>,
    nodes: Vec<&'a Node>,
    /// By a node's place, those that read it.
    children: Vec<Vec<usize>>,
    patience: Patience,
    board: Mutex<Board>,
    wake: Condvar,
}

#[derive(Default)]
struct Board {
    /// How many parents each node still waits for.
    open: Vec<usize>,
    ready: BTreeSet<usize>,
    running: usize,
    settled: Vec<(usize, Settled)>,
    error: Option<Error>,
}

impl<'a> Round<'a> {
    fn new(ground: &'a Ground<'a>, nodes: Vec<&'a Node>, patience: Patience) -> Self {
        let places: HashMap<&NodeId, usize> = nodes.iter().map(|node| &node.id).zip(0..).collect();
        let mut children = vec![Vec::new(); nodes.len()];
        let mut open = vec![0; nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            let parents: BTreeSet<&NodeId> =
                node.depends_on.iter().map(|dependency| &dependency.node).collect();
            let parents =
                parents.into_iter().filter(|id| ground.node(id).is_some() && !ground.is_settled(id));
            for parent in parents {
                // One that is not in this round waits itself, and its children with it.
                open[at] += 1;
                if let Some(place) = places.get(parent) {
                    children[*place].push(at);
                }
            }
        }
        let ready = (0..nodes.len()).filter(|at| open[*at] == 0).collect();
        let board = Mutex::new(Board { open, ready, ..Board::default() });
        Self { ground, nodes, children, patience, board, wake: Condvar::new() }
    }

    /// Binds what can be bound and gives the others, in order.
    fn run(self, shadows: &mut [Shadow], done: &mut HashMap<NodeId, Settled>) -> Result<Vec<&'a Node>> {
        match shadows {
            [shadow] => self.work(shadow),
            _ => in_parallel(shadows, |shadow| self.work(shadow))?,
        }
        let board = self.board.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = board.error {
            return Err(error);
        }
        let mut waits = vec![true; self.nodes.len()];
        for (at, settled) in board.settled {
            waits[at] = false;
            done.insert(self.nodes[at].id.clone(), settled);
        }
        Ok(self.nodes.iter().zip(waits).filter(|(_, waits)| *waits).map(|(node, _)| *node).collect())
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, shadow: &Shadow) {
        let mut board = self.board();
        loop {
            let Some(at) = board.ready.pop_first() else {
                if board.running == 0 || board.error.is_some() {
                    self.wake.notify_all();
                    return;
                }
                board = self.wake.wait(board).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            board.running += 1;
            drop(board);
            let step = bind_model(self.ground, shadow, self.nodes[at], self.patience);
            if let Ok(Step::Settled(settled)) = &step {
                self.settle(self.nodes[at], settled);
            }
            board = self.board();
            board.running -= 1;
            match step {
                Ok(Step::Settled(settled)) => {
                    board.settled.push((at, *settled));
                    for child in &self.children[at] {
                        board.open[*child] -= 1;
                        if board.open[*child] == 0 {
                            board.ready.insert(*child);
                        }
                    }
                }
                Ok(Step::Later) => {}
                Err(error) => {
                    board.ready.clear();
                    board.error.get_or_insert(error);
                }
            }
            self.wake.notify_all();
        }
    }

    fn settle(&self, node: &Node, settled: &Settled) {
        let is_inline = node.config.materialized == Materialization::Ephemeral;
        let rendered = settled.compiled.as_ref().filter(|_| is_inline).map(|compiled| &compiled.rendered);
        self.ground.settle(&node.id, settled.state.clone(), settled.shape.clone(), rendered);
    }
}

/// Lets each worker do its part. A connection can be lent to another thread, but not shared, hence `mut`.
fn in_parallel(shadows: &mut [Shadow], work: impl Fn(&Shadow) + Sync) -> Result<()> {
    std::thread::scope(|scope| {
        let work = &work;
        let mut started = Vec::new();
        for shadow in shadows {
            let worker = std::thread::Builder::new().name("compile".into()).stack_size(STACK);
            let worker = worker.spawn_scoped(scope, move || work(shadow));
            started.push(worker.map_err(|error| Error::machine(format!("cannot start a worker: {error}")))?);
        }
        match started.into_iter().map(std::thread::ScopedJoinHandle::join).any(|ended| ended.is_err()) {
            true => Err(Error::Bug("a worker of the compile panicked".into())),
            false => Ok(()),
        }
    })
}

/// Does the same with each item, and gives the results in the items' order.
pub(super) fn map<T: Sync, R: Send>(
    shadows: &mut [Shadow],
    items: &[T],
    each: impl Fn(&Shadow, &T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let workers = shadows.len().min(1 + items.len() / WORTH_A_WORKER);
    if workers == 1 {
        return items.iter().map(|item| each(&shadows[0], item)).collect();
    }
    let next = std::sync::atomic::AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    in_parallel(&mut shadows[..workers], |shadow| {
        loop {
            let start = next.fetch_add(WORTH_A_WORKER, std::sync::atomic::Ordering::Relaxed);
            let Some(part) = items.get(start..(start + WORTH_A_WORKER).min(items.len())) else { return };
            if part.is_empty() {
                return;
            }
            let made: Vec<Result<R>> = part.iter().map(|item| each(shadow, item)).collect();
            results.lock().unwrap_or_else(PoisonError::into_inner).push((start, made));
        }
    })?;
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(start, _)| *start);
    results.into_iter().flat_map(|(_, made)| made).collect()
}
