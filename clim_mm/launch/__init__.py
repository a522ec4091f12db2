"""From a command line to a training, and from an error to a sentence."""
