"""What a metric rewards, decided by computation: pairs of predictions of which one is better, twelve ways."""
