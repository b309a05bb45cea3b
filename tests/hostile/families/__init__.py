"""Eight families of hostile inputs, each a module with `cases()`."""
