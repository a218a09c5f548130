"""The data model: metric sets, alerts, intervals and series keys. Pure code; imports no other stage."""
