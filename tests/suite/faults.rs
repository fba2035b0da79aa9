//! What happens when the machine or another program gets in the way of a run.
