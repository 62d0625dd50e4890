"""What is inside a saved file: its bytes, its values, and what a fitted estimator has to hold."""
