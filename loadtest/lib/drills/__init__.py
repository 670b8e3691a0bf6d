"""The parts of `loadtest/drill`."""
