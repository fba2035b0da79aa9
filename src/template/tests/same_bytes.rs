//! Marks leave the output as it would be without them.

use super::*;
