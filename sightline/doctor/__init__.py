"""What this machine and a source can do, and what holds them back.

diagnosis    What ``sightline.doctor.examination`` found, and how it is told to a person
examination  What this machine can carry, and what is wrong with it or with a source
machine      The machine as it is just now: libraries, disk, other programs
models       Which of the published models this machine carries how many cameras with
source       What a source gives: how many frames, when, and how evenly
stages       How fast each stage is on this machine: network, encoder, drawing
timing       How often something can be done in a second
"""
