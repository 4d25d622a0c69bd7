"""Fit, evaluate and keep classifiers; import the modules, this package stays light."""
