"""Forecheck as other libraries call forecasters: an estimator in scikit-learn's manner, and one of sktime."""
