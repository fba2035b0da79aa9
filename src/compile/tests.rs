//! Tests of compiling: whole projects in temporary folders, each kind of message as a snapshot.
