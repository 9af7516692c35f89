//! The client against a server whose answers a test decides, and against the stand-in.
