"""Where scikit-learn is at work: scorers for its searches, and classifiers that are calibrated."""
