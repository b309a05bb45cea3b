"""Where rows come from: files and tables become chunks of views."""
