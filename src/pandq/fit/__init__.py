"""Q that is fitted to P by minimising the divergence."""
