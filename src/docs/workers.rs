//! Workers: many things made alike, by several threads, and taken in their order.

use crate::error::{Error, Result};

/// How many a thread makes before all of them are taken: enough to be worth a thread, few enough to be held at once.
const BATCH: usize = 64;

/// Makes things by their numbers and takes them one by one, in order. What comes of it does not depend on the threads.
///
/// # Errors
/// The first that could not be made or taken.
pub fn in_order<T: Send>(
    count: usize,
    threads: usize,
    make: &(dyn Fn(usize) -> Result<T> + Sync),
    take: &mut dyn FnMut(T) -> Result<()>,
) -> Result<()> {
    let batch = |first: usize| (first..count.min(first + BATCH)).map(make).collect::<Vec<_>>();
    let threads = threads.max(1);
    for start in (0..count).step_by(BATCH * threads) {
        let firsts: Vec<usize> = (start..count.min(start + BATCH * threads)).step_by(BATCH).collect();
        let made = match firsts.as_slice() {
            [first] => vec![batch(*first)],
            firsts => std::thread::scope(|scope| {
                let running: Vec<_> = firsts.iter().map(|first| scope.spawn(move || batch(*first))).collect();
                running.into_iter().map(joined).collect::<Result<Vec<_>>>()
            })?,
        };
        for one in made.into_iter().flatten() {
            take(one?)?;
        }
    }
    Ok(())
}

fn joined<T>(running: std::thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    running.join().map_err(|_| Error::Bug("a thread that made pages panicked".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_comes_once_and_in_order_whatever_the_threads() {
        for (count, threads) in [(0, 2), (1, 2), (64, 2), (65, 2), (1000, 3), (1000, 1), (5, 0)] {
            let mut seen = Vec::new();
            let mut take = |at| {
                seen.push(at);
                Ok(())
            };
            in_order(count, threads, &Ok, &mut take).unwrap();
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{threads} threads");
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        let make = |at: usize| if at % 100 == 70 { Err(Error::Bug(at.to_string())) } else { Ok(at) };
        let mut last = 0;
        let error = in_order(500, 4, &make, &mut |at| {
            last = at;
            Ok(())
        });
        assert!(error.unwrap_err().to_string().contains("70"));
        assert_eq!(last, 69);
    }
}
