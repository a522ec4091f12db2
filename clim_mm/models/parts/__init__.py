"""What methods are made of: encoders, queues, shuffles, preprocessing."""
