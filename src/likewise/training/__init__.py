"""Meta-training: recipes, the one loop for every `Trainable`, checkpoints that resume exactly, logs and curves."""
