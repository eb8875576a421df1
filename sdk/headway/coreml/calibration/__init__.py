"""The calibration kit: small trainings whose results tell which of the open questions has which answer on a device.

``experiments`` says what is trained, ``kit`` writes it for a phone, ``simulate`` predicts the readings under any
semantics, ``reading`` decides the switches from what a phone reported.
"""
