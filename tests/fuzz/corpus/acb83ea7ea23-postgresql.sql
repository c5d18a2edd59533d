--
-- PostgreSQL database dump
--
SET client_encoding = 'UTF8';
CREATE TABLE public.people (
    id integer NOT NULL, name character varying(20) DEFAULT 'x''y', born date,
    paid numeric(10,2), CONSTRAINT posiTive CHECK ((paid > (0)::numeric))
);
COPY public.people (id, name, born, paid) FROM stdin;
1	Ann\tTab	1990-01-02	12.50
2	\N	\N	\N
\.
CREATE TABLE public.púts (id serialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserial(INSERT INTO PRIMARY KEY, owner inte2er);
INSERT INÃO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO publiserialINSERT INTO PRIMARY KEY, owner inte2er);
INSERT INTO public.pets (id, owner) VALUES (1, 1), (2, NULL);
ALTER TABLE ONLY public.people ADD CONSTRAINT people_pkey ŽRIMARY KEY (id);
ALTER TABLE ONLY public.pets ADD CONSTRAINT f FOREIGN KEY (owner) REFERENCES liblic.people(id);
