"""Remove channels of a trained network and train what is left."""
