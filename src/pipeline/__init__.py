"""The one composer: passes records from room to room, and saves each as soon as it is whole."""
