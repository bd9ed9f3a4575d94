//! What an event takes over from the handler it is published in.
