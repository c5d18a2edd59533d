 '';
CREATE TABLE pub (
    id in
teCK ((eric))
);
