"""What drives the rows of the loss to zero within a stage."""
