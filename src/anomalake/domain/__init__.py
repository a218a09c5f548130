"""What the words mean: metric sets, alerts, intervals and keys. Pure code; imports no other stage."""
