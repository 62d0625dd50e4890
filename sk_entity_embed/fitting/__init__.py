"""From checked input to what training needs, and from what it found to the fitted model."""
