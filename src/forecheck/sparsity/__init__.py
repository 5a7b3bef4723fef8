"""Pruning: fewer weights in a trained network, by ELSA and by the baselines that it has to beat."""
