"""One stage: a student from the one before it and the guided teacher."""
