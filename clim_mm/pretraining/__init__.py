"""From a folder of images to a trained backbone: what is in the folder, which settings fit it and the time, the run."""
