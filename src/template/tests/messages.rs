//! Every message that a template can cause.

use super::*;
