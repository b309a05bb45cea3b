"""Maps that recalibrate, fitted and chosen across folds."""
