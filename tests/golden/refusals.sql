-- title: rows may not be listed
SELECT age FROM liver.patients;
--> refused: not_aggregate
--> the question lists rows, a person or more each
--> hint: ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query

-- title: not even all of them
SELECT * FROM liver.patients;
--> refused: not_aggregate
--> the question lists rows, a person or more each
--> hint: ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query

-- title: not beside an aggregate
SELECT *, count(*) FROM liver.patients;
--> refused: not_aggregate
--> * beside aggregates lists rows
--> hint: name the columns that are grouped by

-- title: not by grouping by the person
SELECT patient_id, count(*) FROM liver.conditions GROUP BY patient_id;
--> refused: not_aggregate
--> the question lists rows, a person or more each
--> hint: ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query

-- title: not by grouping by the person and more
SELECT patient_id, condition, count(*) FROM liver.conditions GROUP BY 1, 2;
--> refused: not_aggregate
--> the question lists rows, a person or more each
--> hint: ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query

-- title: not by DISTINCT
SELECT DISTINCT site FROM liver.patients;
--> refused: not_aggregate
--> SELECT DISTINCT without the person's column lists values across people
--> hint: select the person as well, or ask COUNT(DISTINCT column) or COUNT(*) with GROUP BY

-- title: not by GROUP BY alone
SELECT postcode FROM liver.patients GROUP BY postcode;
--> refused: not_aggregate
--> a GROUP BY without an aggregate lists rows
--> hint: add COUNT(*) or another aggregate

-- title: not by a window
SELECT avg(value) OVER (PARTITION BY patient_id) FROM liver.measurements;
--> refused: not_aggregate
--> the question lists rows, a person or more each
--> hint: ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query

-- title: a column beside an aggregate
SELECT age, count(*) FROM liver.patients;
--> refused: not_aggregate
--> column 'age' is neither grouped by nor inside an aggregate, so rows would be listed
--> hint: put it in GROUP BY, or take an aggregate of it

-- title: a column in HAVING that is not grouped by
SELECT count(*) FROM liver.patients HAVING age > 40;
--> refused: not_aggregate
--> column 'age' is neither grouped by nor inside an aggregate, so rows would be listed
--> hint: put it in GROUP BY, or take an aggregate of it

-- title: a column of a person's rows that is not grouped by
SELECT avg(day) FROM (SELECT patient_id, day, count(*) FROM liver.conditions GROUP BY patient_id);
--> refused: not_aggregate
--> column 'day' beside aggregates is not in GROUP BY
--> hint: group by it as well, or take min, max, arg_max or first of it

-- title: a column beside an aggregate of answers
SELECT site, sum(n) FROM (SELECT site, count(*) AS n FROM liver.patients GROUP BY site);
--> refused: not_aggregate
--> a column beside aggregates is not in GROUP BY
--> hint: group by it, or put it inside an aggregate

-- title: a restricted column in SELECT
SELECT count(case_id) FROM liver.patients;
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column in WHERE
SELECT count(*) FROM liver.patients WHERE case_id = 7;
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column as a key
SELECT case_id, count(*) FROM liver.patients GROUP BY case_id;
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column in a join
SELECT count(*) FROM liver.patients a JOIN liver.patients b ON a.patient_id = b.patient_id AND a.case_id = b.case_id;
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column in USING
SELECT count(*) FROM liver.patients a JOIN liver.patients b USING (patient_id, case_id);
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column in EXISTS
SELECT count(*) FROM liver.conditions c WHERE EXISTS (SELECT p.case_id FROM liver.patients p WHERE p.patient_id = c.patient_id);
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column in an outer reference
SELECT count(*) FROM liver.patients p WHERE EXISTS (SELECT 1 FROM liver.conditions c WHERE c.patient_id = p.patient_id AND c.day = p.case_id);
--> refused: restricted_column
--> column liver.patients.case_id is restricted
--> hint: the custodian has closed it; ask without it

-- title: a restricted column is not in a star
SELECT count(case_id) FROM (SELECT * FROM liver.patients);
--> refused: unknown_column
--> no column 'case_id' in the tables of this FROM
--> hint: see the catalog for its tables and columns

-- title: a column that does not exist
SELECT avg(bmo) FROM liver.patients;
--> refused: unknown_column
--> no column 'bmo' in the tables of this FROM
--> hint: did you mean bmi?

-- title: a table that does not exist
SELECT count(*) FROM liver.patient;
--> refused: unknown_column
--> no table 'liver.patient'
--> hint: did you mean liver.patients or liver.measurements?

-- title: a dataset that does not exist
SELECT count(*) FROM lever.patients;
--> refused: unknown_column
--> no table 'lever.patients'
--> hint: did you mean liver.patients or liver.measurements?

-- title: a column in two tables
SELECT count(*) FROM liver.conditions c JOIN liver.measurements m USING (patient_id) WHERE day > 0;
--> refused: unknown_column
--> column 'day' is in several tables
--> hint: write c.day or m.day

-- title: an alias that does not exist
SELECT avg(q.bmi) FROM liver.patients p;
--> refused: unknown_column
--> no table 'q' in this FROM
--> hint: there are p

-- title: a table hidden behind its alias
SELECT avg(patients.bmi) FROM liver.patients p;
--> refused: unknown_column
--> no table 'patients' in this FROM
--> hint: there are p

-- title: USING a column of one side
SELECT count(*) FROM liver.patients JOIN liver.conditions USING (condition);
--> refused: unknown_column
--> USING (condition): no such column on both sides
--> hint: write ON with both columns' names

-- title: two tables of one name
SELECT count(*) FROM liver.patients p JOIN liver.conditions p ON p.patient_id = p.patient_id;
--> refused: unsupported_sql
--> two tables called 'p' in one FROM is not supported
--> hint: give one of them an alias

-- title: system catalogs do not exist
SELECT count(*) FROM information_schema.tables;
--> refused: unknown_column
--> no table 'information_schema.tables'
--> hint: there are clinic.visits, liver.conditions, liver.icd, liver.measurements, liver.patients, panel.samples, panel.snps

-- title: settings do not exist
SELECT count(*) FROM duckdb_settings();
--> refused: unsupported_sql
--> the table function DUCKDB_SETTINGS() is not supported
--> hint: only tables of the catalog can be read

-- title: a sum without bounds
SELECT sum(raw) FROM liver.measurements;
--> refused: missing_bounds
--> SUM(raw) needs bounds, and liver.measurements.raw has none
--> hint: ask the custodian to declare low and high for liver.measurements.raw, or write LEAST(GREATEST(column, low), high) with bounds that hold

-- title: a mean without bounds
SELECT avg(score) FROM liver.patients;
--> refused: missing_bounds
--> AVG(score) needs bounds, and liver.patients.score has none
--> hint: ask the custodian to declare low and high for liver.patients.score, or write LEAST(GREATEST(column, low), high) with bounds that hold

-- title: a quantile without bounds
SELECT median(score) FROM liver.patients;
--> refused: missing_bounds
--> MEDIAN(score) needs bounds, and liver.patients.score has none
--> hint: ask the custodian to declare low and high for liver.patients.score, or write LEAST(GREATEST(column, low), high) with bounds that hold

-- title: bounds by a column whose values are unknown
SELECT avg(value) FROM liver.measurements WHERE test = 'unheard';
--> refused: missing_bounds
--> AVG(value) needs bounds, and those of liver.measurements.value depend on test
--> hint: keep rows of one test whose range is declared, as in WHERE test = …; declared: 'sbp', 'hdl', 'fib4', 'smoke'

-- title: a quotient near zero
SELECT avg(bmi / (age - 50)) FROM liver.patients;
--> refused: missing_bounds
--> AVG(bmi / (age - 50)) needs bounds, and none follow from those of its columns
--> hint: write LEAST(GREATEST(…, low), high) around it with bounds that hold

-- title: a per-person sum without bounds
SELECT avg(s) FROM (SELECT patient_id, sum(raw) AS s FROM liver.measurements GROUP BY patient_id);
--> refused: missing_bounds
--> SUM(raw) needs bounds, and liver.measurements.raw has none
--> hint: ask the custodian to declare low and high for liver.measurements.raw, or write LEAST(GREATEST(column, low), high) with bounds that hold

-- title: the year of a date has no bounds
SELECT avg(year(born)) FROM liver.patients;
--> refused: missing_bounds
--> AVG(YEAR(born)) needs bounds, and liver.patients.born has none
--> hint: ask the custodian to declare low and high for liver.patients.born, or write LEAST(GREATEST(column, low), high) with bounds that hold

-- title: text is not summed
SELECT sum(site) FROM liver.patients;
--> refused: bad_input
--> SUM(site) needs a number
--> hint: only COUNT takes text and dates

-- title: the first of all dates is not asked
SELECT min(born) FROM liver.patients;
--> refused: bad_input
--> MIN(born) needs a number
--> hint: only COUNT takes text and dates

-- title: joined on something else than the person
SELECT count(*) FROM liver.patients a JOIN liver.patients b ON a.age = b.age;
--> refused: not_unit_local
--> private tables are joined on the person only
--> hint: join with USING (patient_id)

-- title: not joined on anything
SELECT count(*) FROM liver.patients, liver.conditions;
--> refused: not_unit_local
--> private tables are joined on the person only
--> hint: join with USING (patient_id)

-- title: the link under an OR is none
SELECT count(*) FROM liver.patients a JOIN liver.conditions b ON a.patient_id = b.patient_id OR a.age = b.day;
--> refused: not_unit_local
--> private tables are joined on the person only
--> hint: join with USING (patient_id)

-- title: the link with a cast is none
SELECT count(*) FROM liver.patients a JOIN liver.conditions b ON a.patient_id = b.patient_id + 0;
--> refused: not_unit_local
--> private tables are joined on the person only
--> hint: join with USING (patient_id)

-- title: a natural join
SELECT count(*) FROM liver.patients NATURAL JOIN liver.conditions;
--> refused: unsupported_sql
--> a NATURAL JOIN is not supported
--> hint: write JOIN … USING (the person's column)

-- title: a full join
SELECT count(*) FROM liver.patients FULL JOIN liver.conditions USING (patient_id);
--> refused: unsupported_sql
--> a FULL JOIN is not supported
--> hint: write LEFT JOIN, with the table whose rows are all kept first

-- title: a public table kept whole against a private one
SELECT count(*) FROM liver.icd LEFT JOIN liver.conditions USING (code);
--> refused: not_unit_local
--> an outer join would keep the rows of a public table against a private one
--> hint: put the private table on the side whose rows are all kept

-- title: a public table kept whole from the right
SELECT count(*) FROM liver.conditions RIGHT JOIN liver.icd USING (code);
--> refused: not_unit_local
--> an outer join would keep the rows of a public table against a private one
--> hint: put the private table on the side whose rows are all kept

-- title: two populations
SELECT count(*) FROM liver.patients JOIN clinic.visits ON patient_id = person;
--> refused: not_unit_local
--> the people of two populations (olmsted and leeds) stand in one question
--> hint: ask about each population by itself

-- title: two populations in a sub-query
SELECT count(*) FROM liver.patients WHERE patient_id IN (SELECT person FROM clinic.visits);
--> refused: not_unit_local
--> the people of two populations (olmsted and leeds) stand in one question
--> hint: ask about each population by itself

-- title: two populations in a union
SELECT count(*) FROM (SELECT patient_id FROM liver.patients UNION ALL SELECT person FROM clinic.visits);
--> refused: not_unit_local
--> the units of two populations (olmsted, leeds) are different people
--> hint: a row may depend on one person's rows only

-- title: an aggregate over everyone inside WHERE
SELECT count(*) FROM liver.patients WHERE bmi > (SELECT avg(bmi) FROM liver.patients);
--> refused: not_unit_local
--> (SELECT AVG(bmi) FROM liver.patients) would let a row depend on other people's rows
--> hint: join a sub-query with GROUP BY the person, or take all aggregates of everyone in one SELECT

-- title: a scalar sub-query in SELECT
SELECT count(*) + (SELECT count(*) FROM liver.conditions) FROM liver.patients;
--> refused: not_unit_local
--> (SELECT COUNT(*) FROM liver.conditions) would let a row depend on other people's rows
--> hint: join a sub-query with GROUP BY the person, or take all aggregates of everyone in one SELECT

-- title: EXISTS about just anyone
SELECT count(*) FROM liver.patients WHERE EXISTS (SELECT 1 FROM liver.conditions WHERE condition = 'stroke');
--> refused: not_unit_local
--> EXISTS(SELECT 1 FROM liver.conditions WHERE condition = 'st… would let a row depend on other people's rows
--> hint: tie the sub-query to the same person: WHERE inner.person = outer.person

-- title: NOT EXISTS about just anyone
SELECT count(*) FROM liver.patients WHERE NOT EXISTS (SELECT 1 FROM liver.conditions);
--> refused: not_unit_local
--> EXISTS(SELECT 1 FROM liver.conditions) would let a row depend on other people's rows
--> hint: tie the sub-query to the same person: WHERE inner.person = outer.person

-- title: values of other people
SELECT count(*) FROM liver.conditions WHERE code IN (SELECT code FROM liver.conditions WHERE day > 0);
--> refused: not_unit_local
--> code IN (SELECT code FROM liver.conditions WHERE day > 0) would let a row depend on other people's rows
--> hint: tie the sub-query to the same person: WHERE inner.person = outer.person

-- title: a public row kept by private ones
SELECT count(*) FROM liver.conditions WHERE code IN (SELECT code FROM liver.icd WHERE code IN (SELECT code FROM liver.conditions));
--> refused: not_unit_local
--> code IN (SELECT code FROM liver.conditions) would let a row depend on other people's rows
--> hint: tie the sub-query to the same person: WHERE inner.person = outer.person

-- title: persons of noisy answers
SELECT count(*) FROM liver.patients WHERE age IN (SELECT max(age) FROM liver.patients);
--> refused: not_unit_local
--> age IN (SELECT MAX(age) FROM liver.patients) would let a row depend on other people's rows
--> hint: tie the sub-query to the same person: WHERE inner.person = outer.person

-- title: a window over everyone
SELECT count(*) FROM (SELECT rank() OVER (ORDER BY bmi) AS r FROM liver.patients) WHERE r < 10;
--> refused: not_unit_local
--> the window RANK() OVER (ORDER BY bmi) spans several people
--> hint: add PARTITION BY patient_id

-- title: a window over groups of people
SELECT avg(m) FROM (SELECT avg(bmi) OVER (PARTITION BY site) AS m FROM liver.patients);
--> refused: not_unit_local
--> the window AVG(bmi) OVER (PARTITION BY site) spans several people
--> hint: add PARTITION BY patient_id

-- title: a union with public rows
SELECT count(*) FROM (SELECT code FROM liver.conditions UNION ALL SELECT code FROM liver.icd);
--> refused: not_unit_local
--> private rows cannot be united with public ones
--> hint: a row may depend on one person's rows only

-- title: different rows without the person
SELECT count(*) FROM (SELECT DISTINCT code FROM liver.conditions);
--> refused: not_aggregate
--> SELECT DISTINCT without the person's column lists values across people
--> hint: select the person as well, or ask COUNT(DISTINCT column) or COUNT(*) with GROUP BY

-- title: different rows of a union without the person
SELECT count(*) FROM (SELECT day FROM liver.conditions UNION SELECT day FROM liver.measurements);
--> refused: not_aggregate
--> SELECT DISTINCT without the person's column lists values across people
--> hint: select the person as well, or ask COUNT(DISTINCT column) or COUNT(*) with GROUP BY

-- title: the persons of a union in different columns
SELECT count(*) FROM (SELECT patient_id, day FROM liver.conditions UNION ALL SELECT day, patient_id FROM liver.measurements);
--> refused: unsupported_sql
--> a UNION whose parts have the person in different columns is not supported
--> hint: put the person first in every part

-- title: LIMIT before the aggregate
SELECT avg(bmi) FROM (SELECT bmi FROM liver.patients ORDER BY bmi DESC LIMIT 1);
--> refused: unsupported_sql
--> LIMIT before the aggregate is not supported
--> hint: which rows it keeps would depend on other people; take the first rows of each person with QUALIFY row_number() OVER (PARTITION BY person ORDER BY …) <= n

-- title: LIMIT in IN
SELECT count(*) FROM liver.patients WHERE patient_id IN (SELECT patient_id FROM liver.conditions ORDER BY day LIMIT 1);
--> refused: unsupported_sql
--> LIMIT before the aggregate is not supported
--> hint: which rows it keeps would depend on other people; take the first rows of each person with QUALIFY row_number() OVER (PARTITION BY person ORDER BY …) <= n

-- title: only public tables
SELECT count(*) FROM liver.icd;
--> refused: unsupported_sql
--> an aggregate over public tables alone is not supported
--> hint: read a private table with it; public tables are public

-- title: rows of public tables
SELECT organ FROM liver.icd;
--> refused: unsupported_sql
--> the question reads no private table
--> hint: public tables are public; join one with a private table

-- title: an aggregate of a public table
SELECT count(*) FROM liver.conditions JOIN (SELECT code, max(weight) AS w FROM liver.icd GROUP BY code) USING (code);
--> refused: unsupported_sql
--> an aggregate over public tables alone is not supported
--> hint: read a private table with it; public tables are public

-- title: two noisy answers joined
SELECT a.n / b.n FROM (SELECT count(*) AS n FROM liver.patients) a, (SELECT count(*) AS n FROM liver.conditions) b;
--> refused: unsupported_sql
--> joining answers that carry noise already is not supported
--> hint: ask for all aggregates in one SELECT, with FILTER (WHERE …) for the different conditions

-- title: noisy answers joined with people
SELECT count(*) FROM liver.patients p JOIN (SELECT age, count(*) AS n FROM liver.patients GROUP BY age) t USING (age);
--> refused: unsupported_sql
--> joining answers that carry noise already is not supported
--> hint: ask for all aggregates in one SELECT, with FILTER (WHERE …) for the different conditions

-- title: two questions in a union
SELECT count(*) FROM liver.patients UNION ALL SELECT count(*) FROM liver.conditions;
--> refused: unsupported_sql
--> a UNION of answers that carry noise is not supported
--> hint: ask for all aggregates in one SELECT, with FILTER or GROUP BY

-- title: a sub-query test with more than the person inside OR
SELECT count(*) FROM liver.patients p WHERE age > 80 OR EXISTS (SELECT 1 FROM liver.conditions c WHERE c.patient_id = p.patient_id AND c.day > p.follow_up_days);
--> refused: unsupported_sql
--> a sub-query inside OR, CASE or FILTER that compares more than the person, EXISTS(SELECT 1 FROM liver.conditions AS c WHERE c.patient_… is not supported
--> hint: let it stand alone in WHERE, or join a sub-query with GROUP BY the person

-- title: an aggregate that has no private form
SELECT mode(age) FROM liver.patients;
--> refused: unsupported_sql
--> the aggregate MODE(age) is not supported
--> hint: count, sum, avg, min, max, median, quantile_cont, var_samp, var_pop, stddev_samp, stddev_pop and count_if are known

-- title: lists of values
SELECT list(age), string_agg(site, ',') FROM liver.patients;
--> refused: unsupported_sql
--> the aggregate ARRAY_AGG(age) is not supported
--> hint: count, sum, avg, min, max, median, quantile_cont, var_samp, var_pop, stddev_samp, stddev_pop and count_if are known

-- title: the sum of different values
SELECT sum(DISTINCT age) FROM liver.patients;
--> refused: unsupported_sql
--> DISTINCT in SUM(DISTINCT age) is not supported
--> hint: only COUNT(DISTINCT …) can be asked

-- title: different pairs
SELECT count(DISTINCT age, site) FROM liver.patients;
--> refused: unsupported_sql
--> COUNT(DISTINCT …) of several columns is not supported
--> hint: join them into one text with || first

-- title: one person's value over everyone
SELECT arg_max(age, bmi) FROM liver.patients;
--> refused: unsupported_sql
--> ARG_MAX(age, bmi) over everyone is not supported
--> hint: aggregate each person's rows first: GROUP BY the person in a sub-query, then count

-- title: a median of one person's rows
SELECT avg(m) FROM (SELECT patient_id, median(value) AS m FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id);
--> refused: unsupported_sql
--> MEDIAN(value) of one person's rows is not supported
--> hint: count, sum, avg, min, max, arg_min, arg_max, first, last, bool_or and bool_and are known there

-- title: two shares at once
SELECT quantile_cont(age, [0.25, 0.75]) FROM liver.patients;
--> refused: bad_input
--> the share in QUANTILE_CONT(age, [0.25, 0.75]) is not one number
--> hint: write a number from 0 to 1, as in 0.5

-- title: a share above one
SELECT quantile_cont(age, 1.5) FROM liver.patients;
--> refused: bad_input
--> the share in QUANTILE_CONT(age, 1.5) lies between 0 and 1

-- title: ROLLUP
SELECT site, count(*) FROM liver.patients GROUP BY ROLLUP (site);
--> refused: unsupported_sql
--> GROUP BY ROLLUP (site) is not supported
--> hint: ask once for each grouping

-- title: CUBE
SELECT site, count(*) FROM liver.patients GROUP BY CUBE (site);
--> refused: unsupported_sql
--> GROUP BY CUBE (site) is not supported
--> hint: ask once for each grouping

-- title: GROUPING SETS
SELECT site, count(*) FROM liver.patients GROUP BY GROUPING SETS ((site), ());
--> refused: unsupported_sql
--> GROUP BY GROUPING SETS ((site), ()) is not supported
--> hint: ask once for each grouping

-- title: a sample
SELECT count(*) FROM liver.patients TABLESAMPLE 10%;
--> refused: unsupported_sql
--> SAMPLE in liver.patients TABLESAMPLE SYSTEM (10 PERCENT) is not supported
--> hint: leave it out

-- title: a sample at the end
SELECT count(*) FROM liver.patients USING SAMPLE 10;
--> refused: unsupported_sql
--> SAMPLE in SELECT COUNT(*) FROM liver.patients USING SAMPLE RESERVOIR … is not supported
--> hint: leave it out

-- title: random numbers
SELECT count(*) FROM liver.patients WHERE random() < 0.5;
--> refused: unsupported_sql
--> RANDOM() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: the clock
SELECT count(*) FROM liver.patients WHERE seen < now();
--> refused: unsupported_sql
--> the function now() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: the calendar
SELECT count(*) FROM liver.patients WHERE born < current_date;
--> refused: unsupported_sql
--> CURRENT_DATE is not supported
--> hint: it is not among the functions that can be planned privately

-- title: a file by function
SELECT count(*) FROM read_csv('/etc/passwd');
--> refused: unsupported_sql
--> the table function READ_CSV('/etc/passwd') is not supported
--> hint: only tables of the catalog can be read

-- title: a file by name
SELECT count(*) FROM '/etc/passwd';
--> refused: unknown_column
--> no table '/etc/passwd'
--> hint: there are clinic.visits, liver.conditions, liver.icd, liver.measurements, liver.patients, panel.samples, panel.snps

-- title: the environment
SELECT count(*) FROM liver.patients WHERE getenv('HOME') = '/root';
--> refused: unsupported_sql
--> the function getenv() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: an error on purpose
SELECT count(*) FROM liver.patients WHERE CASE WHEN patient_id = 42 THEN error('x') ELSE true END;
--> refused: unsupported_sql
--> the function error() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: a sequence
SELECT nextval('s') FROM liver.patients;
--> refused: unsupported_sql
--> the function nextval() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: a system function
SELECT pg_sleep(10) FROM liver.patients;
--> refused: unsupported_sql
--> the function pg_sleep() is not supported
--> hint: it is not among the functions that can be planned privately

-- title: a table function
SELECT count(*) FROM generate_series(1, 10);
--> refused: unsupported_sql
--> the table function GENERATE_SERIES(1, 10) is not supported
--> hint: only tables of the catalog can be read

-- title: UNNEST
SELECT count(*) FROM unnest([1, 2]);
--> refused: unsupported_sql
--> UNNEST([1, 2]) in FROM is not supported
--> hint: tables of the catalog, sub-queries and CTEs stand there

-- title: VALUES
SELECT count(*) FROM (VALUES (1), (2)) AS v(a);
--> refused: unsupported_sql
--> (VALUES (1), (2)) AS v(a) in FROM is not supported
--> hint: tables of the catalog, sub-queries and CTEs stand there

-- title: LATERAL
SELECT count(*) FROM liver.patients, LATERAL (SELECT 1) AS x;
--> refused: unsupported_sql
--> LATERAL (SELECT 1) AS x in FROM is not supported
--> hint: tables of the catalog, sub-queries and CTEs stand there

-- title: PIVOT
SELECT * FROM liver.patients PIVOT (count(*) FOR site IN ('north'));
--> refused: unsupported_sql
--> PIVOTS in liver.patients PIVOT(COUNT(*) FOR site IN ('north')) is not supported
--> hint: leave it out

-- title: a recursive CTE
WITH RECURSIVE t AS (SELECT patient_id FROM liver.patients UNION ALL SELECT patient_id FROM t) SELECT count(*) FROM t;
--> refused: unsupported_sql
--> RECURSIVE in WITH RECURSIVE t AS (SELECT patient_id FROM liver.patients … is not supported
--> hint: leave it out

-- title: a CTE that is not used must be understood too
WITH t AS (SELECT * FROM read_csv('/etc/passwd')) SELECT count(*) FROM liver.patients;
--> refused: unsupported_sql
--> the table function READ_CSV('/etc/passwd') is not supported
--> hint: only tables of the catalog can be read

-- title: several statements
SELECT count(*) FROM liver.patients; DROP TABLE liver.patients;
--> refused: unsupported_sql
--> several statements in one question
--> hint: ask them one by one

-- title: a statement that is not SELECT
DROP TABLE liver.patients;
--> refused: unsupported_sql
--> DROP is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: PRAGMA
PRAGMA version;
--> refused: unsupported_sql
--> PRAGMA is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: SET
SET threads = 1;
--> refused: unsupported_sql
--> SET is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: COPY
COPY liver.patients TO 'x.csv';
--> refused: unsupported_sql
--> COPY is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: ATTACH
ATTACH 'x.db';
--> refused: unsupported_sql
--> ATTACH is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: INSERT
INSERT INTO liver.patients SELECT 1;
--> refused: unsupported_sql
--> INSERT is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: EXPLAIN
EXPLAIN SELECT count(*) FROM liver.patients;
--> refused: unsupported_sql
--> EXPLAIN is not supported
--> hint: ask with SELECT, or WITH … SELECT

-- title: a parameter
SELECT count(*) FROM liver.patients WHERE age > ?;
--> refused: unsupported_sql
--> ? is not supported
--> hint: it is not among the functions that can be planned privately

-- title: a numbered parameter
SELECT count(*) FROM liver.patients WHERE age > $1;
--> refused: unsupported_sql
--> $1 is not supported
--> hint: it is not among the functions that can be planned privately

-- title: LIKE with ESCAPE
SELECT count(*) FROM liver.patients WHERE site LIKE 'a' ESCAPE 'b';
--> refused: unsupported_sql
--> site LIKE 'a' ESCAPE 'b' is not supported
--> hint: it is not among the functions that can be planned privately

-- title: regular expressions
SELECT count(*) FROM liver.patients WHERE regexp_matches(site, 'n+');
--> refused: unsupported_sql
--> REGEXP_MATCHES(site, 'n+') is not supported
--> hint: it is not among the functions that can be planned privately

-- title: BETWEEN SYMMETRIC
SELECT count(*) FROM liver.patients WHERE age BETWEEN SYMMETRIC 60 AND 40;
--> refused: unsupported_sql
--> SYMMETRIC in (age BETWEEN 60 AND 40 OR age BETWEEN 40 AND 60) is not supported
--> hint: leave it out

-- title: pairs
SELECT count(*) FROM liver.patients WHERE (age, bmi) = (40, 25);
--> refused: unsupported_sql
--> (age, bmi) is not supported
--> hint: it is not among the functions that can be planned privately

-- title: lists
SELECT count(*) FROM liver.patients WHERE list_contains([1, 2], age);
--> refused: unsupported_sql
--> ARRAY_CONTAINS([1, 2], age) is not supported
--> hint: it is not among the functions that can be planned privately

-- title: ANY
SELECT count(*) FROM liver.conditions WHERE code = ANY (SELECT code FROM liver.icd);
--> refused: unsupported_sql
--> ANY (SELECT code FROM liver.icd) is not supported
--> hint: it is not among the functions that can be planned privately

-- title: INTERSECT
SELECT count(*) FROM (SELECT patient_id FROM liver.patients INTERSECT SELECT patient_id FROM liver.conditions);
--> refused: unsupported_sql
--> INTERSECT or EXCEPT is not supported
--> hint: use person IN (…) or person NOT IN (…)

-- title: DISTINCT ON
SELECT count(*) FROM (SELECT DISTINCT ON (patient_id) * FROM liver.conditions);
--> refused: unsupported_sql
--> DISTINCT ON is not supported
--> hint: use arg_max or QUALIFY row_number() … = 1 within a person's rows

-- title: a frame that is not whole
SELECT avg(s) FROM (SELECT sum(value) OVER (PARTITION BY patient_id ORDER BY day ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM liver.measurements WHERE test = 'sbp');
--> refused: unsupported_sql
--> the frame of SUM(value) OVER (PARTITION BY patient_id ORDER BY day ROWS … is not supported
--> hint: leave the frame out, or write ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING

-- title: LAST_VALUE of a running window
SELECT avg(s) FROM (SELECT last_value(value) OVER (PARTITION BY patient_id ORDER BY day) AS s FROM liver.measurements WHERE test = 'sbp');
--> refused: unsupported_sql
--> LAST_VALUE over a running window is not supported
--> hint: write ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING

-- title: a window after an aggregate
SELECT site, count(*), rank() OVER (ORDER BY count(*)) FROM liver.patients GROUP BY site;
--> refused: unsupported_sql
--> a window beside GROUP BY is not supported
--> hint: compute one of them in a sub-query

-- title: no FROM
SELECT 1;
--> refused: unsupported_sql
--> a SELECT without FROM is not supported
--> hint: name a table of the catalog

-- title: FOR UPDATE
SELECT count(*) FROM liver.patients FOR UPDATE;
--> refused: unsupported_sql
--> LOCKS in SELECT COUNT(*) FROM liver.patients is not supported
--> hint: leave it out

-- title: LIMIT by a share
SELECT count(*) FROM liver.patients LIMIT 10%;
--> refused: unsupported_sql
--> LIMIT OPTIONS in LIMIT 10 PERCENT is not supported
--> hint: leave it out

-- title: a variance of answers
SELECT stddev(n) FROM (SELECT site, count(*) AS n FROM liver.patients GROUP BY site);
--> refused: unsupported_sql
--> STDDEV(n) over answers is not supported
--> hint: count, sum, avg, min, max and median are known there

-- title: text beside a number
SELECT count(*) FROM liver.patients WHERE age = 'x';
--> refused: bad_input
--> a whole number and text meet in age = 'x'
--> hint: text stands in single quotes, numbers do not; or CAST the column

-- title: a number beside text
SELECT count(*) FROM liver.patients WHERE site = 3;
--> refused: bad_input
--> a whole number and text meet in site = 3
--> hint: text stands in single quotes, numbers do not; or CAST the column

-- title: a date that is none
SELECT count(*) FROM liver.patients WHERE born > '1950-02-30';
--> refused: bad_input
--> '1950-02-30' is not a date
--> hint: write it as 'YYYY-MM-DD'

-- title: a time zone
SELECT count(*) FROM liver.patients WHERE seen > '2020-01-01T00:00:00+02:00';
--> refused: bad_input
--> '2020-01-01T00:00:00+02:00' names a time zone
--> hint: leave it out: times are as recorded

-- title: NULL compared
SELECT count(*) FROM liver.patients WHERE bmi = NULL;
--> refused: bad_input
--> bmi = NULL is never true
--> hint: write IS NULL or IS NOT NULL

-- title: a number as a condition
SELECT count(*) FROM liver.patients WHERE age;
--> refused: bad_input
--> age is not a condition
--> hint: compare it with something

-- title: a number beyond 64 bits
SELECT count(*) FROM liver.patients WHERE age = 99999999999999999999;
--> refused: bad_input
--> the number 99999999999999999999 does not fit in 64 bits
--> hint: write it as a decimal: 1e20

-- title: a number beyond a double
SELECT count(*) FROM liver.patients WHERE bmi < 1e999;
--> refused: bad_input
--> the number 1e999 is too large

-- title: values of different types in CASE
SELECT CASE WHEN died THEN 1 ELSE 'x' END, count(*) FROM liver.patients GROUP BY 1;
--> refused: bad_input
--> a whole number and text meet in CASE WHEN died THEN 1 ELSE 'x' END
--> hint: text stands in single quotes, numbers do not; or CAST the column

-- title: a key that names an aggregate
SELECT count(*) FROM liver.patients GROUP BY 1;
--> refused: bad_input
--> GROUP BY names an aggregate
--> hint: group by columns or expressions of them

-- title: an ordinal that names nothing
SELECT count(*) FROM liver.patients ORDER BY 3;
--> refused: bad_input
--> ORDER BY 3 names no column
--> hint: there are 1

-- title: too many groups
SELECT a.age, b.age, c.age, count(*) FROM liver.patients a JOIN liver.patients b USING (patient_id) JOIN liver.patients c USING (patient_id) GROUP BY 1, 2, 3;
--> refused: too_large
--> the question has 571787 groups, at most 200000 can be answered
--> hint: group by fewer columns, or by coarser ones
